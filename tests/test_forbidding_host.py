"""A host where no sandbox can be made: that is found before anything runs, told with its cure, and obeyed.

Real ones (a process behind a filter, a user namespace without others) are in services/runtimes/sandbox/test_probing.
"""

import pytest
from django.urls import reverse

from jobs import execution, submission
from jobs.inputs import Sent
from jobs.models import Job, Reason, Status
from portal.accounts.actors import Actor
from portal.accounts.models import Account, User
from services import builds
from services.models import Build
from services.runtimes import sandbox
from tests.factories import ServiceVersionFactory
from tests.forbidding import NOT_PERMITTED, forbidding_host
from tests.programs import version_of

APPARMOR = {"kernel/apparmor_restrict_unprivileged_userns": "1"}
CASES = {
    # host: (what bubblewrap says there, settings of its kernel, the cause, the cure)
    "Docker's filter": (NOT_PERMITTED, {}, "the system call filter of a container engine", "seccomp=unconfined"),
    "Docker's masks": (
        "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
        {},
        "parts of /proc are masked",
        "--security-opt systempaths=unconfined",
    ),
    "Ubuntu 24.04": (
        "bwrap: setting up uid map: Permission denied",
        APPARMOR,
        "AppArmor keeps users without privileges",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "Ubuntu 24.04 in a container": (
        "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
        APPARMOR,
        "parts of /proc are masked",
        "--security-opt systempaths=unconfined",
    ),
    "old Debian": (
        "bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged "
        "user namespaces.",
        {"kernel/unprivileged_userns_clone": "0"},
        "the kernel keeps users without privileges",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    "hardened": (
        "bwrap: Creating new namespace failed: No space left on device",
        {"user/max_user_namespaces": "0"},
        "user.max_user_namespaces is 0",
        "sysctl -w user.max_user_namespaces=65536",
    ),
    "unheard of": ("bwrap: the moon is full", {}, "the moon is full", "docs/sandbox.md"),
}


@pytest.mark.parametrize("host", CASES)
def test_cause_and_cure_are_named(host: str) -> None:
    message, sysctls, cause, cure = CASES[host]
    with forbidding_host(message, sysctls):
        problem = sandbox.host().problem
    assert cause in problem
    assert cure in problem
    assert f"bubblewrap says: {message}" in problem
    assert "code never runs without one" in problem
    assert sandbox.host().problem == ""


def test_readyz_says_so(client, db: None) -> None:
    with forbidding_host("bwrap: setting up uid map: Permission denied", APPARMOR):
        response = client.get(reverse("readyz"))
    assert response.status_code == 503
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in response.json()["parts"]["runtime"]
    assert client.get(reverse("readyz")).json()["parts"]["runtime"].startswith("ok")


def submit(provider: User) -> Job:
    version = version_of("def run(data, params):\n    return 1\n", account=provider.personal_account)
    return submission.submit(version=version, sent=Sent(), account=provider.personal_account, by=Actor(user=provider))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_a_job_is_refused_with_the_reason_and_its_page_says_so(client, provider: User) -> None:
    job = submit(provider)
    with forbidding_host():
        assert execution.look()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.FAILED, Reason.LOST)
    assert "your code did not run" in job.detail
    assert "seccomp=unconfined" in job.detail
    client.force_login(provider)
    assert "seccomp=unconfined" in client.get(reverse("jobs:detail", args=[job.pk])).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_a_build_is_refused_with_the_reason(provider: User, provider_account: Account) -> None:
    version = ServiceVersionFactory(service__account=provider_account, built=False)
    build = builds.request_build(version=version, by=Actor(user=provider))
    with forbidding_host():
        assert builds.look()
    build = Build.objects.get(pk=build.pk)
    assert build.status == "FAILED"
    assert "seccomp=unconfined" in build.detail


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_the_operator_may_run_without_and_every_page_says_so(client, provider: User, settings) -> None:
    job = submit(provider)
    settings.ALLOW_UNSAFE_RUNTIME = True
    with forbidding_host():
        assert execution.look()
        assert client.get(reverse("readyz")).json()["parts"]["runtime"] == "ok: limits by unsafe"
    job.refresh_from_db()
    assert (job.status, job.limit_tier) == (Status.SUCCEEDED, "unsafe"), job.detail
    client.force_login(provider)
    page = client.get(reverse("jobs:detail", args=[job.pk])).content.decode()
    assert "Jobs run without a sandbox" in page
