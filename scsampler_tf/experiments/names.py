"""What methods are called in tables and legends."""

TITLES = {
    "random": "Random",
    "uniform": "Uniform",
    "empirical": "Empirical",
    "dense": "Dense",
    "visual": "SCSampler, visual",
    "audio": "SCSampler, audio",
    "union_list": "SCSampler, AV-union-list",
    "convex_score": "SCSampler, AV-convex-score",
    "convex_list": "SCSampler, AV-convex-list",
    "intersect_list": "SCSampler, AV-intersect-list",
    "joint": "SCSampler, AV-joint, trained apart",
    "oracle": "Oracle",
}
# Where "joint" chooses by networks that joint training has left.
TITLES_TRAINED_JOINTLY = {**TITLES, "joint": "SCSampler, AV-joint-training"}
