"""What the pages of allauth cannot know by themselves."""

from allauth.mfa.utils import is_mfa_enabled
from django import template
from django.conf import settings

from portal.accounts import devices, passkeys

register = template.Library()
register.filter("device", devices.describe)


@register.simple_tag(takes_context=True)
def passkeys_work_here(context: template.Context) -> bool:
    """Whether the address in the browser's bar may have passkeys."""
    return passkeys.work_at(context["request"].build_absolute_uri())


@register.simple_tag(takes_context=True)
def passkey_page(context: template.Context) -> str:
    """This page where passkeys work; empty if nowhere."""
    return passkeys.page_for(context["request"])


@register.simple_tag(takes_context=True)
def second_factor_is_on(context: template.Context) -> bool:
    return is_mfa_enabled(context["request"].user)


@register.simple_tag
def public_url() -> str:
    return settings.PUBLIC_URL


@register.simple_tag
def mail_goes_to_terminal() -> bool:
    """No mail server is set: whoever waits for a mail finds it in the terminal of `make up`."""
    return settings.EMAIL_BACKEND == "portal.accounts.mail.TerminalBackend"
