"""Shape checking for the whole test run: every annotated signature of the package is enforced. No test is timed."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("palmetto", "beartype_conf.typecheck")

# On a busy machine any example may take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
