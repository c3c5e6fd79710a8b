"""The paper's tables and figures for a run's own data, one module each; `catalogue` lists them."""
