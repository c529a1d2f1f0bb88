"""Under what terms the packs and teachers were given, as their sources state them."""

PACK_TERMS = {
    "celeba_wild": "CelebA: non-commercial research",
    "celeba_small": "CelebA: non-commercial research",
    "pins": "none stated",
    "glint24": "none stated",
    "utkface": "UTKFace: research (MIT for its code)",
    "aaf": "All-Age-Faces: cite the authors",
    "mask12k": "repository MIT, images from the web and from CelebA (non-commercial research)",
    "voteview": "largely public domain",
    "photos": "not stated; many are CelebA photographs (non-commercial research)",
    "masks": "not stated; images from the web",
    "crowds": "not stated",
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
    "The pictures and the teacher this model learned from are research material, so its weights are too: for research "
    "and private use. For other uses retrain on pictures you have the rights to: limen-train run EXPERIMENT."
)
YOUR_OWN = "Learned from the user's own pictures: their terms are the user's."
OMNIGLOT = (
    "Learned from Omniglot (Lake, Salakhutdinov, Tenenbaum 2015), which is under the MIT licence, as this code is."
)
DRAWN = "Learned from drawings made by this project's code: no terms but the project's own licence."
