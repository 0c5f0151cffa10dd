"""Shape checking for the whole test run: every annotated signature of the package is enforced."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxtyping import install_import_hook

install_import_hook("palmetto", "beartype_conf.typecheck")
