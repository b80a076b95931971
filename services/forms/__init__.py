"""The forms of the provider's pages, a module for each module of views that has some.

Their fields are named as the arguments of the verbs, which check; a refusal stands at the field of its argument.
"""

from services.forms.contracts import DescriptionForm
from services.forms.marketplace import SubscribeForm
from services.forms.publication import ShareForm
from services.forms.quantities import TIME_UNITS, in_vcpus, in_words
from services.forms.runtime import OperationForm, VariableForm
from services.forms.services import DESCRIPTION_MAX_CHARACTERS, ServiceForm, SettingsForm
from services.forms.versions import VersionForm

__all__ = [
    "DESCRIPTION_MAX_CHARACTERS",
    "TIME_UNITS",
    "DescriptionForm",
    "OperationForm",
    "ServiceForm",
    "SettingsForm",
    "ShareForm",
    "SubscribeForm",
    "VariableForm",
    "VersionForm",
    "in_vcpus",
    "in_words",
]
