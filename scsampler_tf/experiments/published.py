"""The numbers that the paper and its poster print, as sections to stand beside a run's own.

Paper: Korbar, Tran, Torresani, SCSampler, arXiv 1904.04289, tables 1 to 7 and what its text says of the
figures (curves are printed as pictures only). Poster: the same authors' at ICCV 2019; it rounds to tenths,
calls the last network ir-CSN-152 (R3DGC-152 in the paper) and adds the empirical baseline. Accuracies are
shares; all of them hold on the authors' data sets, classifiers and machines (32 P100 GPUs), not here.
"""

from scsampler_tf.experiments.table import Column, Section

PAPER = "Paper"
POSTER = "Poster"
SPORTS, KINETICS = "Sports1M, K=10", "Kinetics, K=10"
MINI = "MC3-18 on miniSports, K=10"

# network, SCSampler, runtime, random, uniform, runtime of both, dense, runtime, oracle
_TABLE_1 = [
    ("MC3-18", 72.80, 0.8, 64.54, 64.76, 0.4, 66.57, 12.9, 85.10),
    ("R(2+1)D-18", 73.91, 0.8, 62.98, 63.22, 0.4, 68.72, 13.1, 87.00),
    ("R3D-18", 70.21, 0.8, 59.77, 59.92, 0.4, 65.6, 13.3, 84.98),
    ("R(2+1)D-34", 77.96, 0.9, 71.20, 71.49, 0.6, 70.90, 14.2, 88.37),
    ("R3DGC-152", 83.98, 0.9, 75.29, 75.80, 0.5, 76.97, 14.0, 92.65),
]
_TABLE_2 = [
    ("MC3-18", 67.00, 1.5, 63.08, 62.31, 1.3, 65.06, 2.3, 82.01),
    ("R(2+1)D-18", 70.87, 1.6, 65.93, 64.17, 1.4, 67.98, 2.4, 85.43),
    ("R3D-18", 67.28, 1.6, 63.61, 62.80, 1.3, 65.18, 2.4, 82.97),
    ("R(2+1)D-34, from Sports1M", 76.71, 1.6, 73.82, 73.26, 1.5, 74.11, 3.1, 82.89),
    ("I3D-RGB, from ImageNet", 75.12, 1.5, 71.96, 71.18, 1.3, 72.75, 2.9, 81.2),
    ("R3DGC-152, from Sports1M", 80.23, 1.6, 77.82, 77.53, 1.5, 78.81, 3.0, 89.03),
]
# network, random, uniform, empirical
_POSTER_SPORTS = [
    ("MC3-18", 64.5, 64.8, 65.3),
    ("R(2+1)D-18", 63.0, 63.2, 63.9),
    ("R3D-18", 59.8, 59.9, 60.3),
    ("R(2+1)D-34", 71.2, 71.5, 72.0),
    ("ir-CSN-152", 75.3, 75.8, 76.2),
]
_POSTER_KINETICS = [
    ("R(2+1)D-34, from Sports1M", 73.8, 74.0, 74.1),
    ("I3D-RGB, from ImageNet", 71.9, 71.8, 71.9),
    ("ir-CSN-152, from Sports1M", 77.8, 78.5, 79.2),
]
_TABLE_5 = [
    ("MD", "ResNet-18", 63.48, 19.8),
    ("RGB-R", "ResNet-18", 67.99, 20.4),
    ("MD + RGB-R", "ResNet-18", 73.05, 20.9),
    ("IF + MD + RGB-R", "ResNet-18", 74.94, 27.3),
    ("MD + RGB-R", "ShuffleNet-26", 67.89, 19.1),
    ("IF + MD + RGB-R", "ShuffleNet-26", 69.89, 23.8),
]
_TABLE_6 = [
    ("VGG, all of it fine-tuned", 67.82, 22.0),
    ("class layer on VGG conv4_2", 67.03, 21.6),
    ("class layer on VGG pool4", 67.01, 21.4),
    ("class layer on VGG fc1", 59.84, 21.4),
]
_TABLE_7 = [
    ("AV-convex-list (alpha 0.8)", 73.81, 23.4),
    ("AV-convex-score (alpha 0.9)", 67.90, 23.4),
    ("AV-union-list (K'=8)", 75.98, 23.4),
    ("AV-intersect-list", 73.99, 23.4),
    ("AV-joint-training", 75.53, 23.4),
    ("Visual SCSampler only", 73.05, 20.9),
    ("Audio SCSampler only", 67.82, 22.0),
    ("Random", 59.51, 15.1),
    ("Uniform", 59.87, 15.1),
    ("Dense", 61.6, 2293.5),
]
_TABLE_3 = [
    ("Kinetics", 67.00, 65.01, 65.92, 64.96, 63.08, 62.31, 65.06),
    ("Sports1M", 69.15, 72.80, 68.51, 72.05, 64.54, 64.76, 66.57),
]


def section(title: str, source: str, columns: list[Column], rows: list[tuple]) -> Section:
    """Published rows; percentages as printed become shares, what is not printed is None."""
    keys = [(column.key, 100 if column.format == "percent" else 1) for column in columns]
    plain = [
        {
            key: value if scale == 1 or value is None else round(value / scale, 6)
            for (key, scale), value in zip(keys, row, strict=True)
        }
        for row in rows
    ]
    return Section(f"{source}: {title}", columns, plain, source)


def _percents(*titles: str) -> list[Column]:
    return [Column(title.lower().replace(" ", "_"), title, "percent") for title in titles]


def _main(title: str, source: str, unit: str, rows: list[tuple]) -> Section:
    scsampler, random, uniform, dense, oracle = _percents("SCSampler", "Random", "Uniform", "Dense", "Oracle")
    times = [
        Column(f"{name}_runtime", f"Runtime ({unit})", "number") for name in ("scsampler", "random", "dense")
    ]
    columns = [Column("classifier", "Classifier"), scsampler, times[0], random, uniform, times[1], dense]
    return section(title, source, [*columns, times[2], oracle], rows)


def main_tables() -> list[Section]:
    """Tables 1 and 2, and the poster's forms of them, which have the empirical baseline."""
    poster = [Column("classifier", "Classifier"), *_percents("Random", "Uniform", "Empirical")]
    return [
        _main(SPORTS, f"{PAPER}, table 1", "days", _TABLE_1),
        _main(KINETICS, f"{PAPER}, table 2", "hours", _TABLE_2),
        section(f"{SPORTS}, baselines", POSTER, poster, _POSTER_SPORTS),
        section(f"{KINETICS}, baselines", POSTER, poster, _POSTER_KINETICS),
    ]


def transfer() -> Section:
    """Table 3: MC3-18 with clips of samplers trained for other classifiers and data sets."""
    titles = ("MC3-18 on Kinetics", "MC3-18 on Sports1M", "R(2+1)D on Kinetics", "R(2+1)D on Sports1M")
    columns = [Column("test_set", "Test set"), *_percents(*titles, "Random", "Uniform", "Dense")]
    title = "accuracy of MC3-18, columns say what the sampler was trained with"
    return section(title, f"{PAPER}, table 3", columns, _TABLE_3)


def objectives() -> Section:
    """Table 4. The values of AC are those of the poster, whose other values agree with the paper's."""
    columns = [Column("sampler", "Sampler"), *_percents("AC", "SAL-CL", "SAL-RANK")]
    rows = [("Visual SCSampler", 73.05, 63.17, 64.77), ("Audio SCSampler", 66.37, 58.73, 67.82)]
    return section(MINI, f"{PAPER}, table 4 (AC: poster)", columns, rows)


def features() -> Section:
    """Table 5."""
    columns = [Column("features", "Features"), Column("network", "Network"), *_percents("Accuracy")]
    return section(
        MINI, f"{PAPER}, table 5", [*columns, Column("runtime", "Runtime (min)", "number")], _TABLE_5
    )


def audio() -> Section:
    """Table 6."""
    columns = [Column("sampler", "Sampler"), *_percents("Accuracy")]
    return section(
        MINI, f"{PAPER}, table 6", [*columns, Column("runtime", "Runtime (min)", "number")], _TABLE_6
    )


def combinations() -> Section:
    """Table 7."""
    columns = [Column("method", "Method"), *_percents("Accuracy")]
    return section(
        MINI, f"{PAPER}, table 7", [*columns, Column("runtime", "Runtime (min)", "number")], _TABLE_7
    )


def figure(number: int) -> Section:
    """What the text says of figures 2 to 6, whose curves are printed as pictures only."""
    said = {
        2: (MINI.replace(", K=10", ""), ["AV-union-list is best with K=10, the oracle with K=1."]),
        3: (MINI, ["SAL-CL: K_tr of L/4 to L/2 is good; best are L/2 (visual) and L/4 (audio)."]),
        4: (MINI, ["AV-union-list is best with K'=8."]),
        5: (
            "R3DGC-152 on Sports1M, K=10",
            ["With a stride of up to 7 clips the accuracy stays above that of dense evaluation."],
        ),
        6: (
            "R3DGC-152 on Sports1M, K=10",
            ["SCSampler is well above random and uniform for the same cost, for nearly all strides."],
        ),
    }
    title, sentences = said[number]
    columns = [Column("said", "What the text says of the curve")]
    return section(title, f"{PAPER}, figure {number}", columns, [(sentence,) for sentence in sentences])
