"""All settings. Every one has a default that runs; the environment (or a `.env` file beside manage.py) changes them."""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from orchestra.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def written(file: str, name: str) -> str:
    """Give an address that `bin/up` wrote down; empty before the first start."""
    try:
        return str(json.loads((ORCHESTRA_HOME / file).read_text()).get(name, ""))
    except FileNotFoundError:
        return ""


def kept_secret(path: Path) -> str:
    """Read the secret in `path`, and create it first where there is none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()


# A command of a person, as against a server: it needs one connection, says at once when there is none, and logs little.
IS_COMMAND = Path(sys.argv[0]).name in {"manage.py", "up.py"}

# Orchestra

ORCHESTRA_HOME = BASE_DIR / Path(env.str("ORCHESTRA_HOME", default=".orchestra")).expanduser()
ORCHESTRA_PORT: int = env.int("ORCHESTRA_PORT", default=8000)
# A command does not know which port `bin/up` found free; the web is told, as that changes from start to start.
_ADDRESS = (IS_COMMAND and written("access.json", "url")) or f"http://127.0.0.1:{ORCHESTRA_PORT}"
ORCHESTRA_BASE_URL: str = env.str("ORCHESTRA_BASE_URL", default=_ADDRESS).rstrip("/")
ORCHESTRA_WORKERS: int = env.int("ORCHESTRA_WORKERS", default=1)  # worker processes that `up` starts
ORCHESTRA_WORKER_CONCURRENCY: int = env.int("ORCHESTRA_CONCURRENCY", default=50)  # threads of one worker
ORCHESTRA_ORGANIZATION_SHARE: int = env.int("ORCHESTRA_ORGANIZATION_SHARE", default=0)  # nodes at work; 0: no bound
ORCHESTRA_ORGANIZATION_QUEUE: int = env.int("ORCHESTRA_ORGANIZATION_QUEUE", default=10_000)  # runs not begun
ORCHESTRA_RETENTION_DAYS: int = env.int("ORCHESTRA_RETENTION_DAYS", default=90)  # of ended runs; 0: for ever
ORCHESTRA_SESSION_DAYS: int = env.int("ORCHESTRA_SESSION_DAYS", default=0)  # of unused agent sessions; 0: for ever
ORCHESTRA_EMBEDDINGS: str = env.str("ORCHESTRA_EMBEDDINGS", default="local/hashed")  # who makes the vectors of memories
ORCHESTRA_MESSAGE_DAYS: float = env.float("ORCHESTRA_MESSAGE_DAYS", default=7.0)  # of channels, until they expire
ORCHESTRA_WEB_PROCESSES: int = env.int("ORCHESTRA_WEB_PROCESSES", default=2)  # that `up` starts
ORCHESTRA_WEB_THREADS: int = env.int("ORCHESTRA_WEB_THREADS", default=64)
ORCHESTRA_WEB_ROOM: int = env.int("ORCHESTRA_WEB_ROOM", default=1000)  # requests answered or in line for a thread
ORCHESTRA_LEASE_SECONDS: float = env.float("ORCHESTRA_LEASE_SECONDS", default=10.0)
ORCHESTRA_DRAIN_SECONDS: float = env.float("ORCHESTRA_DRAIN_SECONDS", default=2.0)
ORCHESTRA_EGRESS_ALLOW: frozenset[str] = frozenset(filter(None, env.list("ORCHESTRA_EGRESS_ALLOW", default=[])))
ORCHESTRA_PLUGINS: list[str] = list(filter(None, env.list("ORCHESTRA_PLUGINS", default=[])))
# What secrets are sealed with, the newest first; the same for all processes, and a backup is worth nothing without.
ORCHESTRA_MASTER_KEYS: list[str] = list(filter(None, env.list("ORCHESTRA_MASTER_KEYS", default=[]))) or [
    kept_secret(ORCHESTRA_HOME / "master_key")
]
ORCHESTRA_LIMITS: dict[str, int] = {}
ORCHESTRA_FAILPOINTS: str = env.str("ORCHESTRA_FAILPOINTS", default="")  # only with DEBUG
ORCHESTRA_LOOP_BOUND: int = env.int("ORCHESTRA_LOOP_BOUND", default=100)  # of an edge that closes a cycle

# Django

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.str("SECRET_KEY", default="") or kept_secret(ORCHESTRA_HOME / "secret_key")
ALLOWED_HOSTS: list[str] = ["127.0.0.1", "localhost", "[::1]", *env.list("ALLOWED_HOSTS", default=[])]
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CORS_ORIGINS: list[str] = env.list("CORS_ORIGINS", default=[])
ROOT_URLCONF = "orchestra.urls"
APPEND_SLASH = False
WSGI_APPLICATION = "orchestra.wsgi.application"
ASGI_APPLICATION = "orchestra.asgi.application"
AUTH_USER_MODEL = "accounts.User"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "/accounts/login"
LOGIN_REDIRECT_URL = "/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_scopes",
    "allauth",
    "allauth.account",
    "orchestra",
    "apps.common.apps.CommonConfig",
    "apps.accounts.apps.AccountsConfig",
    "apps.observability.apps.ObservabilityConfig",
    "apps.integrations.apps.IntegrationsConfig",
    "apps.agents.apps.AgentsConfig",
    "apps.workflows.apps.WorkflowsConfig",
]

MIDDLEWARE = [
    "apps.common.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.common.static_files.StaticFiles",
    "apps.common.compression.CompressedPages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.accounts.middleware.one_time_sign_in",
    "apps.common.middleware.across_organizations",
]

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
                "apps.accounts.shell.shell",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Signing in. Nobody signs up alone; limits are ours (RATE_LIMITS in apps/accounts/access.py), not allauth's.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"login": "apps.accounts.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_RATE_LIMITS = False
EMAIL_URL: str = env.str("EMAIL_URL", default="")  # without it nothing is mailed
vars().update(environ.Env.email_url_config(EMAIL_URL or "dummymail://"))
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="orchestra@localhost")

# Static files: WhiteNoise serves what `collectstatic` put into STATIC_ROOT, with a hash in the name, compressed and to
# be kept for ever; what is not there comes from the sources. `bin/up` collects when something has changed.
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default="") or ORCHESTRA_HOME / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "apps.common.static_files.HashedFiles"},
}
STATICFILES_DIRS = [path for path in (BASE_DIR / "static",) if path.is_dir()]
STATICFILES_FINDERS = [
    "apps.common.static_files.BuiltFiles",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
]
WHITENOISE_USE_FINDERS = True

# Browser protection. The cookies are Secure when the public address is https.
_HTTPS = ORCHESTRA_BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_NAME = "__Host-session" if _HTTPS else "orchestra_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "apps.common.problems.csrf_failure"
if _HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000

# PostgreSQL. Without DATABASE_URL it is the embedded one of `bin/up`.

DATABASE_URL: str = (
    env.str("DATABASE_URL", default="")
    or written("services.json", "database_url")
    or "postgresql://orchestra@127.0.0.1:5432/orchestra"
)
ORCHESTRA_DB_POOL: int = env.int("ORCHESTRA_DB_POOL", default=20)


def database(url: str) -> dict[str, Any]:
    """Describe the database at `url` with the time-outs and the pool that every connection has."""
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if config["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_URL must name a PostgreSQL database: postgresql://user@host:5432/name")
    pool = {"min_size": 1, "max_size": ORCHESTRA_DB_POOL, "timeout": 5, "max_idle": 300}
    # A pool doubles the pause between its tries to connect; past so many seconds it begins anew, at the next request.
    # With its own five minutes it would not notice for half of that time that the database is back.
    pool["reconnect_timeout"] = 2
    config["OPTIONS"] = config.get("OPTIONS", {}) | {
        "pool": False if IS_COMMAND else pool,
        "prepare_threshold": 5,
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,  # keepalives do not help what waits for a network that is cut to take a statement
        "options": "-c statement_timeout=30s -c lock_timeout=3s -c idle_in_transaction_session_timeout=10s",
    }
    return config


DATABASES = {"default": database(DATABASE_URL)}

# Redis and Celery. A message is a hint (the row in PostgreSQL decides), so it is acknowledged early and has no result.

REDIS_URL: str = env.str("REDIS_URL", default="") or written("services.json", "redis_url") or "redis://127.0.0.1:6379/0"
CELERY_APP = "orchestra.celery:app"
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_HEARTBEAT = 10
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False

# REST

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["apps.common.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.common.renderers.AlwaysJson",
    "DEFAULT_PARSER_CLASSES": [
        f"apps.common.parsers.{name}" for name in ("JSONParser", "YAMLParser", "TextYAMLParser", "OldYAMLParser")
    ],
    "DEFAULT_SCHEMA_CLASS": "apps.common.openapi.ApiSchema",
    "EXCEPTION_HANDLER": "apps.common.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # `format` is a parameter of the exports
}
ORCHESTRA_TRUSTED_PROXIES: int = env.int("ORCHESTRA_TRUSTED_PROXIES", default=0)  # of them set X-Forwarded-For

SPECTACULAR_SETTINGS = {
    "TITLE": "Orchestra",
    "DESCRIPTION": "Durable multi-agent workflows.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["apps.common.openapi.add_problems"],
}

# Logs go to stderr: JSON, and for people readable lines.

LOG_LEVEL: str = env.str("LOG_LEVEL", default="WARNING" if IS_COMMAND else "INFO").upper()
LOG_FORMAT: str = env.str("LOG_FORMAT", default="console" if IS_COMMAND else "json")
LOGGING = logging_config(level=LOG_LEVEL, form=LOG_FORMAT)
