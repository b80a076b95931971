import hashlib
import json
import threading
from datetime import timedelta

import pytest
from django.core.exceptions import NON_FIELD_ERRORS
from django.db import connection
from django.utils import timezone

from jobs import claiming, inputs, secrets, submission, tasks
from jobs.inputs import InputRefused, Refused, Sent
from jobs.models import IdempotencyKey, Job, JobInput, JobTag, Reason, Status
from jobs.submission import IdempotencyKeyReused, NotRunnable
from portal.accounts import quotas
from portal.accounts.actors import Actor
from services.models import ServiceShare
from tests.factories import JobFactory, ServiceVersionFactory, SubscriptionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]

OPENAPI = json.dumps(
    {
        "openapi": "3.0.3",
        "info": {"title": "Sum", "version": "1"},
        "paths": {},
        "components": {
            "schemas": {
                "InputData": {
                    "type": "object",
                    "required": ["values"],
                    "properties": {"values": {"type": "array", "items": {"type": "number"}}},
                },
                "InputParams": {"type": "object", "properties": {"round_up": {"type": "boolean"}}},
            }
        },
    }
)


@pytest.fixture
def version(provider):
    return ServiceVersionFactory(service__account=provider.personal_account, environment="built")


@pytest.fixture
def subscription(version, consumer):
    version.publication = "marketplace"
    version.save()
    return SubscriptionFactory(version=version, application__account=consumer.personal_account)


def submit(version, user, sent=None, **kwargs):
    return submission.submit(
        version=version, sent=sent or Sent(), account=user.personal_account, by=Actor(user=user), **kwargs
    )


def call(subscription, sent=None, *, key="", body=b"{}"):
    """As the gateway does."""
    application = subscription.application
    return submission.submit(
        version=subscription.version,
        sent=sent or Sent(),
        account=application.account,
        by=Actor(application=application),
        subscription=subscription,
        idempotency_key=key,
        body_digest=inputs.digest(body),
    )


def test_an_accepted_job_waits_with_its_input_as_it_came(version, provider):
    sent = inputs.parse(
        b'{"data": {"values": [1,  2.50]}, "params": {"x": "\\u0000"}, "n": [ 1 ], "$tags": ["a", "b"]}'
    )
    job = Job.objects.get(pk=submit(version, provider, sent).pk)
    assert (job.status, job.attempt, job.created_by, job.subscription) == (Status.QUEUED, 0, provider, None)
    assert job.input.data == '{"values": [1,  2.50]}'
    assert json.loads(job.input.params) == {"x": "\0"}
    assert job.input.more == {"n": "[ 1 ]"}
    assert job.tags == ["a", "b"]
    assert not JobTag.objects.exists()


def test_a_version_without_a_build_takes_no_jobs(provider):
    version = ServiceVersionFactory(service__account=provider.personal_account, environment="")
    with pytest.raises(NotRunnable) as refused:
        submit(version, provider)
    assert refused.value.code == "not_published"
    assert "no finished build" in refused.value.message_dict[NON_FIELD_ERRORS][0]


@pytest.mark.parametrize(
    ("publication", "is_shared", "taken"),
    [("", False, False), ("internal", False, False), ("internal", True, True), ("marketplace", False, True)],
)
def test_others_run_what_is_offered_to_them(version, consumer, publication, is_shared, taken):
    version.publication = publication
    version.save()
    if is_shared:
        ServiceShare.objects.create(service=version.service, account=consumer.personal_account)
    if taken:
        assert submit(version, consumer).account == consumer.personal_account
    else:
        with pytest.raises(NotRunnable, match="takes no new jobs"):
            submit(version, consumer)


def test_a_retired_version_takes_no_new_jobs_of_its_owner_either(version, provider):
    version.publication = "retired"
    version.save()
    with pytest.raises(NotRunnable):
        submit(version, provider)


class TestSchema:
    @pytest.fixture(autouse=True)
    def _described(self, version):
        version.openapi, version.openapi_origin = OPENAPI, "uploaded"

    def test_every_violation_is_listed_with_its_pointer_and_told_at_its_field(self, version, provider):
        sent = Sent(data='{"values": [1, "x", null]}', params='{"round_up": 1}')
        with pytest.raises(InputRefused) as refused:
            submit(version, provider, sent)
        assert refused.value.code == "invalid_input"
        assert [violation["pointer"] for violation in refused.value.members["violations"]] == [
            "/data/values/1", "/data/values/2", "/params/round_up",
        ]  # fmt: skip
        assert "3 places" in refused.value.detail
        assert refused.value.message_dict["data"] == [
            '/values/1: "x" is not of type "number".',
            '/values/2: null is not of type "number".',
        ]
        assert set(refused.value.message_dict) == {"data", "params"}
        assert not Job.objects.exists()

    def test_what_is_left_out_counts_as_an_empty_object(self, version, provider):
        with pytest.raises(InputRefused) as refused:
            submit(version, provider)
        assert refused.value.message_dict == {"data": ['"values" is a required property.']}

    def test_what_fits_is_taken(self, version, provider):
        assert submit(version, provider, Sent(data='{"values": []}')).pk

    @pytest.mark.parametrize("column", [{"validates_input": False}, {"openapi_origin": "default"}])
    def test_a_provider_may_turn_it_off_and_a_guess_refuses_nothing(self, version, provider, column):
        for name, value in column.items():
            setattr(version, name, value)
        assert submit(version, provider).pk


class TestTags:
    def test_jobs_of_a_subscription_are_found_by_them(self, subscription):
        first, second = call(subscription, Sent(tags=["a", "ü b"])), call(subscription, Sent(tags=["a"]))
        rows = JobTag.objects.filter(subscription=subscription)
        assert set(rows.filter(name="a").values_list("job", flat=True)) == {first.pk, second.pk}
        assert list(rows.filter(name="ü b").values_list("job", flat=True)) == [first.pk]


class TestSecrets:
    def test_they_lie_encrypted_in_the_database(self, version, provider):
        job = submit(version, provider, Sent(secrets={"ibmToken": "canary"}))
        kept = JobInput.objects.values().get(pk=job.pk)
        assert kept["secret_count"] == 1
        assert "canary" not in str(kept)
        assert "ibmToken" not in str(kept)
        assert secrets.variables(kept["secrets"]) == {"SECRET_IBM_TOKEN": "canary"}

    def test_they_go_when_the_job_ends(self, version, provider):
        submit(version, provider, Sent(secrets={"token": "x"}))
        job = claiming.claim_next("here")
        assert JobInput.objects.get(pk=job.pk).secrets
        assert claiming.requeue(job)
        assert JobInput.objects.get(pk=job.pk).secrets  # its next attempt needs them
        job = claiming.claim_next("here")
        assert claiming.settle(job, status=Status.SUCCEEDED)
        assert JobInput.objects.get(pk=job.pk).secrets == ""

    def test_they_go_when_it_is_cancelled_while_it_waits(self, version, provider):
        job = submit(version, provider, Sent(secrets={"token": "x"}))
        submission.cancel(job=job, by=Actor(user=provider))
        assert JobInput.objects.get(pk=job.pk).secrets == ""

    @pytest.mark.parametrize("started", [True, False])
    def test_they_go_when_it_is_lost(self, version, provider, started):
        submit(version, provider, Sent(secrets={"token": "x"}))
        job = claiming.claim_next("elsewhere")
        if started:
            claiming.mark_running(job)
        Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=60))
        claiming.reap(is_here=lambda job: False)
        job.refresh_from_db()
        assert job.status == Status.FAILED
        assert JobInput.objects.get(pk=job.pk).secrets == ""

    def test_a_job_that_was_settled_by_another_keeps_nothing_from_it(self, version, provider):
        submit(version, provider, Sent(secrets={"token": "x"}))
        job = claiming.claim_next("here")
        job.attempt = 0
        assert not claiming.settle(job, status=Status.SUCCEEDED)
        assert JobInput.objects.get(pk=job.pk).secrets


class TestIdempotency:
    def test_the_same_body_gets_the_first_answer_again(self, subscription):
        first = call(subscription, key="k 1")
        assert call(subscription, key="k 1") == first
        assert call(subscription, key="k 2") != first
        assert call(subscription) != call(subscription)
        assert Job.objects.count() == 4

    def test_another_body_is_refused(self, subscription):
        call(subscription, key="k")
        with pytest.raises(IdempotencyKeyReused) as refused:
            call(subscription, key="k", body=b"{ }")
        assert refused.value.code == "idempotency_key_reused"
        assert Job.objects.count() == 1

    def test_the_answer_stays_although_the_version_was_retired_since(self, subscription):
        first = call(subscription, key="k")
        subscription.version.publication = "retired"
        subscription.version.save()
        assert call(subscription, key="k") == first

    def test_keys_of_two_subscriptions_do_not_meet(self, subscription, version):
        other = SubscriptionFactory(version=version)
        assert call(subscription, key="k") != call(other, key="k")

    @pytest.mark.parametrize("key", ["x" * 256, "a\nb", "ä", "\0"])
    def test_a_key_must_be_printable_and_not_too_long(self, subscription, key):
        with pytest.raises(Refused) as refused:
            call(subscription, key=key)
        assert refused.value.code == "invalid_request"
        assert not Job.objects.exists()

    def test_the_longest_key_is_taken(self, subscription):
        assert call(subscription, key="x" * 255) == call(subscription, key="x" * 255)

    def test_keys_are_kept_for_two_days(self, subscription):
        old, young = call(subscription, key="old"), call(subscription, key="young")
        ages = {old: timedelta(hours=49), young: timedelta(hours=47)}
        for job, age in ages.items():
            IdempotencyKey.objects.filter(job=job).update(created_at=timezone.now() - age)
        tasks.tidy()
        assert call(subscription, key="young") == young
        assert call(subscription, key="old") != old
        assert Job.objects.filter(pk=old.pk).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_a_broker_that_takes_no_ring_refuses_no_job(version, provider, valkey, caplog):
    before = valkey.config_get("maxmemory")["maxmemory"]
    valkey.config_set("maxmemory", 1)
    try:
        job = submit(version, provider)
    finally:
        valkey.config_set("maxmemory", before)
    assert Job.objects.get().pk == job.pk
    assert "jobs.look is rung again by the next tick" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
def test_calls_at_the_same_moment_get_one_job(subscription):
    together, results = threading.Barrier(8), []

    def start():
        try:
            together.wait()
            results.append(call(subscription, key="k").pk)
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert set(results) == {Job.objects.get().pk}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("fails", [False, True])
def test_a_call_waits_for_the_transaction_of_the_first(subscription, monkeypatch, fails):
    """A first call that is rolled back leaves the key to the second."""
    inside, go_on, results = threading.Event(), threading.Event(), {}
    keep = submission._keep

    def slow_keep(job, sent):
        keep(job, sent)
        if threading.current_thread().name == "first":
            inside.set()
            assert go_on.wait(10)
            if fails:
                raise RuntimeError

    def start():
        name = threading.current_thread().name
        try:
            results[name] = call(subscription, key="k").pk
        except RuntimeError:
            results[name] = None
        finally:
            connection.close()

    monkeypatch.setattr(submission, "_keep", slow_keep)
    first, second = (threading.Thread(target=start, name=name) for name in ("first", "second"))
    first.start()
    assert inside.wait(10)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()
    assert results["second"] == Job.objects.get().pk
    assert results["first"] == (None if fails else results["second"])


def test_cancelling_a_waiting_job_ends_it_at_once(provider):
    job = JobFactory(account=provider.personal_account)
    submission.cancel(job=job, by=Actor(user=provider))
    assert (job.status, job.reason, job.cancel_requested_by) == (Status.CANCELLED, Reason.CANCELLED, provider)
    assert job.ended_at is not None


def test_cancelling_a_running_job_asks_its_supervisor(provider):
    job = JobFactory(account=provider.personal_account, status=Status.RUNNING, attempt=1, host="here")
    submission.cancel(job=job, by=Actor(user=provider))
    assert job.status == Status.RUNNING
    assert job.cancel_requested_at is not None


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_a_finished_job_never_changes(provider, status):
    job = JobFactory(account=provider.personal_account, status=status)
    before = Job.objects.values().get(pk=job.pk)
    submission.cancel(job=job, by=Actor(user=provider))
    assert Job.objects.values().get(pk=job.pk) == before


def test_a_service_with_live_jobs_objects_to_its_end(version, provider):
    assert submission.objection(version.service) is None
    JobFactory(account=provider.personal_account, version=version, status=Status.RUNNING)
    assert submission.objection(version.service).startswith("1 job of it is still waiting or running.")
    JobFactory(account=provider.personal_account, version=version)
    assert submission.objection(version.service).startswith("2 jobs of it are")


def test_the_digest_of_a_body_helps_nobody_to_guess_its_secrets():
    body = b'{"data": {}, "$secrets": {"pin": "4711"}}'
    assert inputs.digest(body) == inputs.digest(body) != inputs.digest(body + b" ")
    assert inputs.digest(body) != hashlib.sha256(body).hexdigest()  # everything else of the body may be known


class TestLimits:
    def test_as_many_jobs_wait_as_may(self, version, provider):
        quotas.set_limits(account=provider.personal_account, queued_jobs=2)
        running = submit(version, provider)
        Job.objects.filter(pk=running.pk).update(status=Status.RUNNING)
        submit(version, provider)
        submit(version, provider)
        with pytest.raises(Refused) as refused:
            submit(version, provider)
        assert refused.value.code == "queue_full"
        assert "as its limit allows: 2 (JOBS_QUEUED_MAX)" in refused.value.detail
        assert int(refused.value.headers["Retry-After"]) > 0
        assert Job.objects.count() == 3

    def test_who_keeps_too_much_starts_nothing(self, version, provider, settings):
        settings.STORAGE_MAX_BYTES = 1000
        quotas.charge(provider.personal_account.pk, 999)
        submit(version, provider)
        quotas.charge(provider.personal_account.pk, 1)
        with pytest.raises(Refused) as refused:
            submit(version, provider)
        assert (refused.value.code, refused.value.members) == ("storage_full", {"size": 1000, "limit": 1000})

    def test_a_call_that_comes_again_gets_its_answer_all_the_same(self, subscription):
        first = call(subscription, key="again")
        quotas.set_limits(account=subscription.application.account, queued_jobs=1)
        assert call(subscription, key="again") == first
        with pytest.raises(Refused, match="wait already"):
            call(subscription, key="another")


class TestDeadline:
    def test_seconds_count_from_now(self, version, provider):
        job = submit(version, provider, inputs.parse(b'{"$deadline": 90.5}'))
        assert 85 < (job.deadline_at - timezone.now()).total_seconds() <= 90.5

    def test_a_time_has_a_zone(self, version, provider):
        at = (timezone.now() + timedelta(days=1)).astimezone(timezone.get_fixed_timezone(120)).replace(microsecond=0)
        job = submit(version, provider, inputs.parse(json.dumps({"$deadline": at.isoformat()}).encode()))
        assert job.deadline_at == at

    @pytest.mark.parametrize("given", [0, -1, True, "soon", "2030-01-31T12:00:00", [], 1e9, {}])
    def test_what_is_no_deadline_is_refused(self, given):
        with pytest.raises(InputRefused, match="ISO 8601") as refused:
            inputs.parse(json.dumps({"$deadline": given}).encode())
        assert refused.value.members["pointer"] == "/$deadline"

    def test_a_deadline_that_has_passed_starts_nothing_but_gives_the_first_answer_again(self, subscription):
        sent = inputs.parse(b'{"$deadline": "2020-01-31T12:00:00Z"}')
        with pytest.raises(InputRefused, match="has passed"):
            call(subscription, sent)
        with pytest.raises(InputRefused, match="more than a year"):
            call(subscription, inputs.parse(b'{"$deadline": "2999-01-31T12:00:00+01:00"}'))
        first = call(subscription, key="again")
        assert call(subscription, sent, key="again") == first
