r"""lm_eval's own command line with the `palmetto` model in it; lm_eval has no other way to find one.

python -m palmetto.evaluation --model palmetto --model_args path=studies/starter/models/palm_5m \
    --include_path studies/starter/tasks --tasks palmetto_made --num_fewshot 1
"""

from lm_eval.__main__ import cli_evaluate

import palmetto.evaluation.harness  # noqa: F401  (importing it registers the model)

if __name__ == "__main__":
    cli_evaluate()
