"""Rows held while they change, and checked before they are saved."""

from django.core.exceptions import ValidationError

from services.models import Service, ServiceVersion


def locked(service: Service) -> Service:
    """The row as it is now, held until the transaction ends. Raises ValidationError where it was deleted."""
    found = Service.objects.select_for_update().filter(pk=service.pk, deleted_at=None).first()
    if found is None:
        raise ValidationError("The service was deleted in the meantime. Go back to your services.")
    return found


def check(row: Service | ServiceVersion) -> None:
    """Hold the row against its columns: lengths and choices. What else there is to check was checked before."""
    ours = {"account", "service", "created_by", "warnings"}
    row.clean_fields(exclude=ours & {field.name for field in row._meta.fields})
