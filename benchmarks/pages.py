"""How long the server takes for each page, one request at a time, as the client of the same machine sees it.

`python -m benchmarks.pages [--smoke]`
"""

import argparse
import statistics

from benchmarks.instance import instance, job_id, milliseconds, percentile

GOAL_MILLISECONDS = 50
DATA = '{"values": [1, 2, 3]}'


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="each page once, to see that it works")
    times = 1 if parser.parse_args().smoke else 100
    with instance() as (stack, client):
        service = f"/services/{stack.bootstrap['service']['id']}/"
        form = f"/jobs/new/?service={stack.bootstrap['service']['id']}"
        client.get(form)
        job = f"/jobs/{job_id(client.post(form, data=DATA, params='{}'))}/"
        pages = [
            *("/", "/healthz", "/dashboard/", "/docs/", "/jobs/", form, job),
            *(job + tab for tab in ("result/", "files/", "log/", "input/")),
            *("/services/", "/services/new/", service),
            *(service + tab for tab in ("versions/", "builds/", "api/", "settings/")),
            *("/account/profile/", "/account/limits/", "/accounts/2fa/", "/accounts/sessions/"),
        ]
        print(f"{'page':45} p50 ms  p95 ms  (goal on an idle machine: p95 ≤ {GOAL_MILLISECONDS})")
        for page in pages:
            client.get(page)
            taken = milliseconds(lambda page=page: client.get(page), times)
            shown = page.replace(stack.bootstrap["service"]["id"], "…").replace(job, "/jobs/…/")
            print(f"{shown:45} {statistics.median(taken):6.1f}  {percentile(taken, 95):6.1f}")


if __name__ == "__main__":
    main()
