"""Jobs for the operator: to look at, never to change. What was sent and what came out is the consumer's."""

from django.contrib import admin
from django.http import HttpRequest

from jobs.models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only, not when it runs
    list_display = ("id", "account", "version", "status", "reason", "created_at", "host", "attempt")
    list_filter = ("status", "reason")
    list_select_related = ("account", "version__service")
    ordering = ("-id",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False
