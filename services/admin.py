"""The operator's look at services. Versions and builds are history: to be read, not to be edited."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from services.models import Build, Service, ServiceVersion


class ReadOnly:
    """What verbs write and nobody edits: a version is immutable, and a build is its workers'."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(ReadOnly, admin.TabularInline):
    model = ServiceVersion
    fields = ("number", "runtime", "cpu_millis", "memory_mib", "time_limit_seconds", "network", "created_at")
    readonly_fields = fields
    ordering = ("-id",)
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceVersion]:
        return super().get_queryset(request).defer("openapi")


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin):
    """Names and texts may be mended here; making, building and deleting are verbs of publishing."""

    list_display = ("name", "slug", "account", "created_at", "deleted_at")
    list_filter = ("deleted_at",)
    list_select_related = ("account",)
    search_fields = ("name", "slug", "account__slug", "=id")
    fields = ("name", "summary", "description", "slug", "account", "created_by", "created_at", "deleted_at")
    readonly_fields = ("slug", "account", "created_by", "created_at", "deleted_at")
    inlines = (VersionInline,)
    ordering = ("-id",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ServiceVersion)
class ServiceVersionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("__str__", "runtime", "network", "source_size", "openapi_origin", "is_runnable", "created_at")
    list_filter = ("runtime", "network", "openapi_origin")
    list_select_related = ("service",)
    search_fields = ("service__name", "service__slug", "source_sha256", "=id")
    ordering = ("-id",)
    show_full_result_count = False

    @admin.display(boolean=True, description="built")
    def is_runnable(self, version: ServiceVersion) -> bool:
        return version.is_runnable


@admin.register(Build)
class BuildAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "version", "status", "reused", "fresh", "host", "attempt", "created_at", "ended_at")
    list_filter = ("status", "reused")
    list_select_related = ("version__service",)
    search_fields = ("version__service__slug", "host", "=id")
    ordering = ("-id",)
    show_full_result_count = False
