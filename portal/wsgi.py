"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from portal.lib import lifeline

lifeline.end_with_parent_in_group()  # granian's main process would leave its workers behind when it is killed
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()

from portal.lib import sse  # noqa: E402 (needs the settings)

sse.end_with_process()
