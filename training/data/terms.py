"""The terms of the packs and teachers, as their sources state them."""

PACK_TERMS = {
    "celeba_wild": "CelebA: non-commercial research",
    "celeba_small": "CelebA: non-commercial research",
    "celeba_large": "CelebA: non-commercial research",
    "pins": "none stated",
    "glint24": "none stated",
    "utkface": "UTKFace: research (MIT for its code)",
    "aaf": "All-Age-Faces: cite the authors",
    "mask12k": "repository MIT, images from the web and from CelebA (non-commercial research)",
    "voteview": "largely public domain",
    "photos": "not stated; many are CelebA photographs (non-commercial research)",
    "masks": "not stated; images from the web",
    "crowds": "not stated",
    "turned": "CelebA: non-commercial research",
    "negatives": "not stated",
    "mixed": "masks: repository MIT, images from the web; the rest public pages",
}
TEACHER_TERMS = {
    "yunet_n": "Apache-2.0, libfacedetection.train",
    "yunet_s": "Apache-2.0, libfacedetection.train",
    "kw_mobilefacenet": "no licence file",
    "facegate_mobilefacenet": "repository MIT, origin of the weights not stated",
    "liguiyuan_mobilefacenet": "no licence file",
}
RESEARCH_ONLY = (
    "The pictures and the teacher that this model was trained on are research material, so its weights are too: for "
    "research and private use. For other uses train on pictures that you have the rights to: limen-train run "
    "EXPERIMENT."
)
OLDER_RESEARCH_ONLY = (  # in kept weights
    "The pictures and the teacher this model learned from are research material, so its weights are too: for research "
    "and private use. For other uses retrain on pictures you have the rights to: limen-train run EXPERIMENT."
)
YOUR_OWN = "Trained on the user's own pictures: their terms are the user's."
OMNIGLOT = "Trained on Omniglot (Lake, Salakhutdinov, Tenenbaum 2015), which has the MIT licence, as this code has."
DRAWN = "Trained on drawings that this project's code makes: only the project's own licence applies."


def terms_of_both(before: str, own: str) -> str:
    """The terms of weights that learned from something of `own` terms after something of others."""
    before = before.replace(OLDER_RESEARCH_ONLY, RESEARCH_ONLY)
    if own in before or own == DRAWN:
        return before
    return own if before == DRAWN else f"{before} {own}"
