from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from jobs import submission  # noqa: PLC0415 - models are not loaded before
        from services import publishing  # noqa: PLC0415 (likewise)

        publishing.may_object(submission.objection)
