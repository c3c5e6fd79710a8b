"""A file of settings that was found: a configuration with the networks it was found with, as
`scsampler_tf.found_settings` reads it."""

import dataclasses

from scsampler_tf.found_settings import NETWORKS
from tuning.rows import Row
from tuning.study import Study


def settings_file(study: Study, row: Row, search: dict) -> dict:
    """Plain data for a row: `selection`, a group for every sampler that was trained again, `networks` (where
    each lies in the run's folder and the digest of the network), and `found` (on the validation videos)."""
    tables = study.tables_of(row.samplers)
    networks = {}
    for kind, table in tables.items():
        if kind != "classifier" and kind not in study.own:
            continue  # activations belong to their sampler
        trained = row.samplers.get(kind)
        if trained is not None and not study.samplers.is_own(kind, trained):
            place = study.samplers.place(kind, trained)
            where = {"folder": place.folder.as_posix(), "table": place.table.as_posix()}
        else:
            where = {}
        networks[kind] = {**where, "digest": table.made_by["network"]}
    changed = {
        kind: dataclasses.asdict(each)
        for kind, each in row.samplers.items()
        if not study.samplers.is_own(kind, each)
    }
    val = {"videos": len(study.validation.videos), **dataclasses.asdict(row.assessment)}
    return {
        "selection": dataclasses.asdict(row.selection),
        **changed,
        NETWORKS: networks,
        "found": {"trial": row.trial, "objective": row.objective, "val": val, "search": search},
    }
