"""Integer networks: arithmetic, graph, checkpoints, conversion from float, histograms, bias correction."""
