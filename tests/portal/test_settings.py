"""What the settings make of the environment."""

import json
import os
import subprocess
import sys


def test_every_slot_may_hold_a_connection_of_the_pool(tmp_path):
    # A supervisor holds one as long as its job runs, the lease of a build another; psycopg's own bound is 4.
    program = "import json; from portal import settings; print(json.dumps(settings.DATABASES['default']['OPTIONS']))"
    environment = os.environ | {
        "DATABASE_URL": "postgres://user:password@host/name?sslmode=require",
        "MERCATO_HOME": str(tmp_path),
        "JOB_SLOTS": "30",
        "BUILD_SLOTS": "3",
    }
    asked = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    options = json.loads(asked.stdout)
    assert options["pool"]["max_size"] > 36
    assert options["sslmode"] == "require"
