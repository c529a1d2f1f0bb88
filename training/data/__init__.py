"""Readers of packs, folders, LFW, Omniglot and scenes; generators of drawn data; and the shared augmentation."""
