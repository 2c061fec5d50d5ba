"""The error tree: every failure that llmtl foresees, each also a standard-library error.

    LlmtlError
    ├── InputError (ValueError)              the user can fix it: command line exit code 2
    │   ├── DataError                        the labelled file
    │   │   └── CannotFitError               one strategy cannot learn from it
    │   ├── RecipeError                      the recipe or an override
    │   ├── ModelError                       the checkpoint
    │   │   └── ContextLengthError           an example does not fit the model's context
    │   ├── RunError                         the run folder
    │   │   ├── DamagedRunError              a file of it is not what was written
    │   │   └── BundleError                  the bundle: incomplete, tampered with, or not servable
    │   └── MissingFileError (FileNotFoundError)
    ├── MissingPackageError (ImportError)    names its install command
    ├── TrainingError (RuntimeError)         training cannot go on: exit code 1
    ├── HostedError (RuntimeError)           a hosted model cannot be asked: exit code 1
    │   ├── UnreadableAnswerError            its answer is not one of the allowed ones
    │   └── SpendLimitError                  its spend limit is reached
    └── ServingError (RuntimeError)          the server cannot start or died: exit code 1
        └── DriftError                       the live server does not predict what was measured

Every message is one sentence, or two, that ends with the cure. Not covered: unexpected errors, which keep
their traceback.
"""


class LlmtlError(Exception):
    """Any failure that llmtl foresees; its text is one line for the user."""

    exit_code = 1


class InputError(LlmtlError, ValueError):
    """The user's input is wrong and the message says how to fix it."""

    exit_code = 2


class DataError(InputError):
    """The labelled data cannot be used as it is."""


class CannotFitError(DataError):
    """A strategy cannot learn from this data; a run leaves it out and says why."""


class RecipeError(InputError):
    """The recipe, or an override of it, has problems; the message lists all of them."""


class ModelError(InputError):
    """The model is not a LLaMA- or Mistral-family checkpoint that llmtl can load."""


class ContextLengthError(ModelError):
    """An example, with its instruction, is longer than the model's context."""


class RunError(InputError):
    """A run folder is missing, incomplete or belongs to another recipe."""


class DamagedRunError(RunError):
    """A file of a run folder is missing or is not what the run wrote."""


class BundleError(RunError):
    """A bundle is incomplete, was changed after it was written, or cannot be served as asked."""


class MissingFileError(InputError, FileNotFoundError):
    """A file or folder that the user named does not exist."""


class MissingPackageError(LlmtlError, ImportError):
    """A package is not installed; the message names the command that installs it."""

    exit_code = 2


class TrainingError(LlmtlError, RuntimeError):
    """Training cannot start or cannot go on."""


class HostedError(LlmtlError, RuntimeError):
    """A hosted model does not answer, refuses a request, or would cost more than its limit."""


class UnreadableAnswerError(HostedError):
    """A hosted model's answer is not one of the allowed ones: a failed prediction, not the end of a run."""


class SpendLimitError(HostedError):
    """One more request to a hosted model could cost more than its spend limit."""


class ServingError(LlmtlError, RuntimeError):
    """The server cannot start, or died and could not be kept alive."""


class DriftError(ServingError):
    """The live server's predictions differ from the measured ones."""
