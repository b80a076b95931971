"""People, accounts and memberships for the operator.

Nobody is deleted here: jobs and services name who made them. A person who should no longer get in is made inactive.
"""

from typing import Any, ClassVar

# Imported although replaced: each registers its model on import, and would do so after us.
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _mfa_admin  # noqa: F401
from allauth.mfa.models import Authenticator
from allauth.usersessions import admin as _usersessions_admin  # noqa: F401
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest

from portal.accounts import quotas
from portal.accounts.models import Account, AccountLimits, Membership, User
from portal.lib.sizes import in_words


class PersonCreationForm(AdminUserCreationForm):
    """A new person with an address that the operator vouches for."""

    email_verified = forms.BooleanField(
        label="Vouch for the address", required=False, help_text="Otherwise they verify it at the first log-in."
    )

    class Meta:
        model = User
        fields = ("email", "name")
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {}


class MembershipInline(admin.TabularInline):
    model = Membership
    autocomplete_fields = ("account",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # roles are given and taken on the page of the account

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class PersonAdmin(DjangoUserAdmin):
    add_form = PersonCreationForm
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("When", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = (
        (None, {"fields": ("email", "name", "usable_password", "password1", "password2", "email_verified")}),
    )
    filter_horizontal = ()
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        # The address to log in with is a row of allauth's too; people change both on their own page.
        return (*self.readonly_fields, "email") if obj else self.readonly_fields

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type, ...]:
        return self.inlines if obj else ()  # a new person gets their account when they are saved

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("email_verified"):
            EmailAddress.objects.create(user=obj, email=obj.email, verified=True, primary=True)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MemberInline(admin.TabularInline):
    model = Membership
    autocomplete_fields = ("user",)
    extra = 0


class LimitsInline(admin.StackedInline):
    """Limits of its own; without a row, those of the settings."""

    model = AccountLimits
    extra = 0


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):
    list_display = ("name", "slug", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "slug")
    readonly_fields = ("kind", "person", "stored", "created_at")
    inlines = (MemberInline, LimitsInline)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        if not change:
            obj.kind = Account.Kind.ORGANIZATION  # a personal account comes with its person
        super().save_model(request, obj, form, change)

    def get_inlines(self, request: HttpRequest, obj: Account | None) -> tuple[type, ...]:
        return self.inlines if obj else (MemberInline,)

    @admin.display(description="Result files")
    def stored(self, account: Account) -> str:
        return in_words(quotas.storage_of(account.pk))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister((Authenticator, UserSession))


@admin.register(Authenticator)
class AuthenticatorAdmin(admin.ModelAdmin):
    """Second factors: to take away from somebody who lost them. Secrets are not shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    fields = readonly_fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(UserSession)
class UserSessionAdmin(admin.ModelAdmin):
    """Who is logged in from where. Deleting a row does not end the session; making the user inactive does."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    fields = readonly_fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
