"""Whatever is trained: the experiment file, the loop, the optimizers, the checkpoint, the log and the folders."""
