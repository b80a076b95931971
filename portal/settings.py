"""Every setting of the server, read from the environment. docs/settings.md documents each one.

The defaults are the embedded mode of `make up`: SQLite, a private Valkey, files below MERCATO_HOME.
"""

import contextlib
import hashlib
import ipaddress
import os
import secrets
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from django.urls import reverse_lazy

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def _kept_secret(path: Path) -> str:
    """The secret in ``path``; made on first use, readable by its owner only."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(secrets.token_urlsafe(48))
    with contextlib.suppress(FileExistsError):  # of two processes at first start one wins, and both read its secret
        os.link(fresh, path)
    fresh.unlink()
    return path.read_text().strip()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


# Where things live
MERCATO_HOME = Path(env("MERCATO_HOME", default=str(BASE_DIR / "var"))).expanduser().resolve()
INSTANCE = hashlib.sha256(str(MERCATO_HOME).encode()).hexdigest()[:8]  # tells instances side by side apart
# A Unix socket's path ends at 107 characters, so the folder of sockets and locks is a short one.
RUN_DIR = Path(env("RUN_DIR", default=f"{tempfile.gettempdir()}/mercato-{os.getuid()}-{INSTANCE}"))
JOBS_HOME = env("JOBS_HOME", default="")  # empty: services.runtimes.sandbox finds a folder that job users reach

# The instance
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env("SECRET_KEY", default="") or _kept_secret(MERCATO_HOME / "secret_key")
# Apart from SECRET_KEY, which may change at any time; without these, what they encrypted is lost. The first encrypts.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[]) or [_kept_secret(MERCATO_HOME / "encryption_key")]
HOST = env("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env("PUBLIC_URL", default=f"http://localhost:{PORT}").rstrip("/")
_public_host = urlsplit(PUBLIC_URL).hostname
ALLOWED_HOSTS = [_public_host, "localhost", "127.0.0.1", "[::1]", *env.list("ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Demo accounts are for somebody who tries the product on their own machine, never for a reachable server.
EMBEDDED = not env("DATABASE_URL", default="") and not env("REDIS_URL", default="")
DEMO = env.bool("DEMO", default=True) and EMBEDDED and _is_loopback(HOST)
WEB_WORKERS = env.int("WEB_WORKERS", default=2)
# The kernel deals connections out to the workers by chance: of 1,000 live pages, one of two gets up to 560 or so.
WEB_THREADS = env.int("WEB_THREADS", default=700)
LIVE_STREAMS_MAX = env.int("LIVE_STREAMS_MAX", default=640)  # a web worker; below WEB_THREADS, so that pages have room
DISK_FREE_MIN_MIB = env.int("DISK_FREE_MIN_MIB", default=512)  # with less, no job starts and the instance is not ready

INSTALLED_APPS = [
    "portal.apps.PortalConfig",
    "portal.accounts",
    "services",
    "jobs",
    "portal.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "template_partials",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
]

MIDDLEWARE = [
    "portal.lib.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.lib.htmx.VaryMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.accounts.middleware.ActivityMiddleware",
    "portal.accounts.middleware.CurrentAccountMiddleware",
    "portal.views.errors.OpenedLikeAPageMiddleware",
    "portal.lib.nul.RefuseNulMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "portal.accounts.context_processors.shell",
            ],
        },
    }
]

# Data
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{MERCATO_HOME}/mercato.sqlite3")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000;",
        },
    }
else:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = True  # beside what the URL asks for, such as sslmode
    # After a restart of the server the pool holds dead connections: each is asked before it is handed out.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PRIVATE_VALKEY = not env("REDIS_URL", default="")
REDIS_URL = env("REDIS_URL", default="") or f"unix://{RUN_DIR}/valkey.sock?db=0"
CACHES = {
    "default": {
        "BACKEND": "portal.lib.cache.SteadyRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
    }
}
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": MERCATO_HOME / "files",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "staticfiles": {"BACKEND": "portal.lib.static.BundledStaticFilesStorage"},
}
STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", default=str(MERCATO_HOME / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]

# Work. The queue is a doorbell without authority: early acknowledgement, no results, no due times in it.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "system"
CELERY_TASK_ROUTES = {"jobs.look": {"queue": "jobs"}, "services.look": {"queue": "builds"}}
CELERY_TASK_PUBLISH_RETRY = False  # a ring that fails is rung again by the system tick
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 10,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,  # a broker that hangs must not hold up who rings; longer than a worker's read of the queue
    "socket_keepalive": True,
    # A ring tries once more, at once, and then leaves it to the tick: a request waits for it. Workers have their own.
    "max_retries": 1,
    "interval_start": 0.05,
}
CELERY_BEAT_SCHEDULE = {
    "jobs.tick": {"task": "jobs.tick", "schedule": 2.0, "options": {"expires": 2}},
    "jobs.tidy": {"task": "jobs.tidy", "schedule": 3600.0},
    "jobs.recount": {"task": "jobs.recount", "schedule": 86_400.0},
    "services.tick": {"task": "services.tick", "schedule": 2.0, "options": {"expires": 2}},
    "services.tidy": {"task": "services.tidy", "schedule": 3600.0},
    "accounts.tidy": {"task": "accounts.tidy", "schedule": 86_400.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(MERCATO_HOME / "celerybeat-schedule")
CELERY_TIMEZONE = "UTC"

WORKER_HOST = env("WORKER_HOST", default=socket.gethostname())
JOB_SLOTS = env.int("JOB_SLOTS", default=max(2, os.cpu_count() or 2))
BUILD_SLOTS = env.int("BUILD_SLOTS", default=1)
if "pool" in DATABASES["default"]["OPTIONS"]:
    # A slot holds a connection while its job runs, and a build one more for its lease; psycopg's own bound is 4.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": JOB_SLOTS + 2 * BUILD_SLOTS + 8,
        "timeout": 10,  # seconds; while the server is away, who asks hears it soon
    }
LEASE_SECONDS = env.int("LEASE_SECONDS", default=30)
LEASE_RENEWAL_SECONDS = env.int("LEASE_RENEWAL_SECONDS", default=5)
STOP_GRACE_SECONDS = env.int(
    "STOP_GRACE_SECONDS", default=1
)  # what a stopping worker gives its jobs to end by themselves
JOB_ATTEMPTS_MAX = env.int("JOB_ATTEMPTS_MAX", default=3)  # starts of a job whose version may be retried

# What an account may use, where the operator gave it no limits of its own; 0: no limit
JOBS_RUNNING_MAX = env.int("JOBS_RUNNING_MAX", default=0)
JOBS_QUEUED_MAX = env.int("JOBS_QUEUED_MAX", default=10_000)
STORAGE_MAX_BYTES = env.int("STORAGE_MAX_BYTES", default=20 * 1024**3)  # of result files
RETENTION_DAYS = env.int("RETENTION_DAYS", default=30)  # after the end of a job; 0: kept for ever

# What jobs and builds may use
JOB_UID_BASE = env.int("JOB_UID_BASE", default=61000)
JOB_PYTHON = env("JOB_PYTHON", default="")  # with commas between; the first is the default, empty: the first found
JOB_CPU_MILLIS_DEFAULT = env.int("JOB_CPU_MILLIS_DEFAULT", default=1000)
JOB_CPU_MILLIS_MAX = env.int("JOB_CPU_MILLIS_MAX", default=1000 * (os.cpu_count() or 1))
JOB_MEMORY_MIB_DEFAULT = env.int("JOB_MEMORY_MIB_DEFAULT", default=1024)
JOB_MEMORY_MIB_MAX = env.int("JOB_MEMORY_MIB_MAX", default=8192)
JOB_TIME_LIMIT_SECONDS_DEFAULT = env.int("JOB_TIME_LIMIT_SECONDS_DEFAULT", default=3600)
JOB_TIME_LIMIT_SECONDS_MAX = env.int("JOB_TIME_LIMIT_SECONDS_MAX", default=86_400)
JOB_PROCESSES_MAX = env.int("JOB_PROCESSES_MAX", default=256)
JOB_OUTPUT_MAX_BYTES = env.int("JOB_OUTPUT_MAX_BYTES", default=256 * 1024 * 1024)
JOB_OUTPUT_MAX_FILES = env.int("JOB_OUTPUT_MAX_FILES", default=1000)
# Interpreters that wait with their imports done, for versions that ask for a warm start; at most one a slot
WARM_IDLE_SECONDS = env.int("WARM_IDLE_SECONDS", default=300)  # 0: every job starts cold
WARM_JOBS_MAX = env.int("WARM_JOBS_MAX", default=100)
JOB_NETWORK_ALLOWED = env.bool("JOB_NETWORK_ALLOWED", default=False)
JOB_NETWORK_DEFAULT = env("JOB_NETWORK_DEFAULT", default="none")  # or open, where that is allowed
ALLOW_UNSAFE_RUNTIME = env.bool("ALLOW_UNSAFE_RUNTIME", default=False)
# Containers run where an engine answers; `elsewhere`: not here, but workers on other hosts have one; `off`: nowhere.
CONTAINERS = env("CONTAINERS", default="auto")
DOCKER_HOST = env("DOCKER_HOST", default="")  # empty: where Docker listens by default
CONTAINER_ROOT_ALLOWED = env.bool("CONTAINER_ROOT_ALLOWED", default=False)  # a container's user is the image's own
CONTAINER_IMAGE_MAX_BYTES = env.int("CONTAINER_IMAGE_MAX_BYTES", default=8 * 1024 * 1024 * 1024)
CONTAINER_IMAGES_KEPT = env.int("CONTAINER_IMAGES_KEPT", default=100)  # on a host; what is beyond is made anew at need
INPUT_MAX_BYTES = env.int("INPUT_MAX_BYTES", default=1_000_000)  # `data` and `params`, each
BODY_MAX_BYTES = env.int("BODY_MAX_BYTES", default=4_000_000)  # one call of the gateway
LOG_MAX_BYTES = env.int("LOG_MAX_BYTES", default=64 * 1024 * 1024)
BUILD_TIME_LIMIT_SECONDS = env.int("BUILD_TIME_LIMIT_SECONDS", default=900)
BUILD_MEMORY_MIB = env.int("BUILD_MEMORY_MIB", default=2048)
# The network of a Dockerfile's own steps: `engine` is what the container engine gives to builds, `none` is none.
BUILD_NETWORK = env("BUILD_NETWORK", default="engine")
BUILD_OUTPUT_MAX_BYTES = env.int("BUILD_OUTPUT_MAX_BYTES", default=8 * 1024 * 1024 * 1024)  # its packages, on disk
SOURCE_MAX_BYTES = env.int("SOURCE_MAX_BYTES", default=50 * 1024 * 1024)
SOURCE_UNPACKED_MAX_BYTES = env.int("SOURCE_UNPACKED_MAX_BYTES", default=500 * 1024 * 1024)
SOURCE_MAX_ENTRIES = env.int("SOURCE_MAX_ENTRIES", default=10_000)
OPENAPI_MAX_BYTES = env.int("OPENAPI_MAX_BYTES", default=1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # form fields; files stream to disk
DATA_UPLOAD_MAX_NUMBER_FILES = 4  # each may be as large as a source, and arrives before anybody asks who sends it
FILE_UPLOAD_TEMP_DIR = env("FILE_UPLOAD_TEMP_DIR", default=None)
FILE_UPLOAD_HANDLERS = [
    "portal.lib.uploads.BoundedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# How often clients may ask for access tokens, a minute; 0: no limit
TOKEN_REQUESTS_PER_ADDRESS = env.int("TOKEN_REQUESTS_PER_ADDRESS", default=600)
TOKEN_REQUESTS_PER_KEY = env.int("TOKEN_REQUESTS_PER_KEY", default=300)
TOKEN_FAILURES_PER_MINUTE = env.int("TOKEN_FAILURES_PER_MINUTE", default=30)  # of one key from one address

# Identity
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]  # a ModelBackend, and by e-mail
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {"user_attributes": ("email", "name")},
        "MinimumLengthValidator": {},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = reverse_lazy("dashboard")
# How many proxies in front of us add to X-Forwarded-For: rate limits and the page of sessions need the real address.
# We speak no TLS ourselves, so behind https there is one at least.
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", default=1 if urlsplit(PUBLIC_URL).scheme == "https" else 0)
ACCOUNT_ADAPTER = "portal.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "portal.accounts.forms.LoginForm",
    "signup": "portal.accounts.forms.SignupForm",
    "add_email": "portal.accounts.forms.AddEmailForm",
    "change_password": "portal.accounts.forms.ChangePasswordForm",
    "set_password": "portal.accounts.forms.SetPasswordForm",
    "reset_password": "portal.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "portal.accounts.forms.ResetPasswordKeyForm",
    "reauthenticate": "portal.accounts.forms.ReauthenticateForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Mercato] "
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a changed password or second factor is told to its owner
ACCOUNT_CHANGE_EMAIL = True  # one address a person: a new one replaces the old one once it is verified
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that signed up only
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(PUBLIC_URL).scheme
USERSESSIONS_TRACK_ACTIVITY = True  # shown by allauth's page, noted by our ActivityMiddleware
MFA_ADAPTER = "portal.accounts.adapters.MFAAdapter"
MFA_FORMS = {
    "authenticate": "portal.accounts.forms.CodeForm",
    "reauthenticate": "portal.accounts.forms.CodeAgainForm",
    "activate_totp": "portal.accounts.forms.ActivateAppForm",
    "add_webauthn": "portal.accounts.forms.AddPasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Mercato"
MFA_TOTP_TOLERANCE = 1  # the code before and after: clocks of phones differ
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = urlsplit(PUBLIC_URL).scheme == "http"  # browsers allow it on localhost only

vars().update(env.email("EMAIL_URL", default="consolemail://"))
if not env("EMAIL_URL", default=""):
    EMAIL_BACKEND = "portal.accounts.mail.TerminalBackend"
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default=f"Mercato <mercato@{urlsplit(PUBLIC_URL).hostname}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# The browser's side. Cookies ignore ports, so instances side by side need names of their own.
SESSION_COOKIE_NAME = f"mercato_session_{INSTANCE}"
CSRF_FAILURE_VIEW = "portal.views.errors.csrf_failure"
CSRF_COOKIE_NAME = f"mercato_csrf_{INSTANCE}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = urlsplit(PUBLIC_URL).scheme == "https"
SECURE_SSL_REDIRECT = urlsplit(PUBLIC_URL).scheme == "https" and env.bool("SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SESSION_COOKIE_SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SESSION_COOKIE_SECURE
SECURE_REFERRER_POLICY = "same-origin"
if not SESSION_COOKIE_SECURE and _is_loopback(urlsplit(PUBLIC_URL).hostname or ""):
    # `check --deploy` asks for TLS, which nobody needs who talks to their own machine.
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],  # not 'self': a result file is served by us too
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# The machine's side. Its addresses authenticate themselves; REST framework describes them, and answers none of them.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Mercato: the managed-service API",
    "DESCRIPTION": "How an application calls the services that it is subscribed to. The endpoint of a subscription is "
    "`/gateway/<account>/<service>/<version>`. Every address is the same with a slash at its end.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": PUBLIC_URL}],
    "SECURITY": [{"applicationCredentials": []}],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "applicationCredentials": {
                "type": "oauth2",
                "description": "Access key id and secret access key of an application",
                "flows": {"clientCredentials": {"tokenUrl": f"{PUBLIC_URL}/token", "scopes": {}}},
            }
        }
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,  # it would say each word twice
    "PREPROCESSING_HOOKS": ["portal.api.managed.schema.only_gateway"],
    "SCHEMA_PATH_PREFIX": "/gateway",
}
# A redirect would lose a POST; these refuse by themselves what is no https.
SECURE_REDIRECT_EXEMPT += [r"^gateway/", r"^token/?$", r"^oauth/"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

LOG_LEVEL = env("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "portal.lib.requests.RequestIdFilter"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # A line for each ring and each beat would hide the others, and oauthlib's DEBUG lines hold whole access tokens.
    "loggers": {
        name: {"level": "WARNING"} for name in ("celery.app.trace", "celery.worker.strategy", "celery.beat", "oauthlib")
    },
}
