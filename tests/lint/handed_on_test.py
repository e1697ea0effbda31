# SPDX-License-Identifier: MIT
"""What others run and can't be run here, a GitHub workflow and OSS-Fuzz's files: as far as reading
them goes. (tools/nightly oss-fuzz runs its build.sh.)"""

import pathlib
import re
import subprocess
import unittest

try:
    import yaml
except ImportError:
    raise SystemExit(77) from None

ROOT = pathlib.Path(__file__).resolve().parents[2]
OSS_FUZZ = ROOT / "tools/packaging/oss-fuzz"


class Workflow(unittest.TestCase):
    def test_each_runs_what_anybody_can_run_here(self):
        files = list((ROOT / ".github/workflows").glob("*.yml"))
        self.assertTrue(files)
        for path in files:
            workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
            self.assertLessEqual({"push", "pull_request"}, set(workflow[True]))  # "on"
            self.assertEqual({"contents": "read"}, workflow["permissions"])
            for job in workflow["jobs"].values():
                runs = [step["run"] for step in job["steps"] if "run" in step]
                self.assertEqual([".ci/run"], runs)
                self.assertIn("timeout-minutes", job)
        self.assertTrue((ROOT / ".ci/run").stat().st_mode & 0o100)


class OssFuzz(unittest.TestCase):
    def test_the_project_has_what_is_asked_for(self):
        project = yaml.safe_load((OSS_FUZZ / "project.yaml").read_text(encoding="utf-8"))
        for key in ("homepage", "main_repo", "language", "primary_contact"):
            self.assertIsInstance(project[key], str)
        self.assertEqual(["libfuzzer"], project["fuzzing_engines"])
        self.assertEqual({"address", "undefined"}, set(project["sanitizers"]))

    def test_the_image_installs_what_the_build_needs(self):
        image = (OSS_FUZZ / "Dockerfile").read_text(encoding="utf-8")
        wanted = subprocess.run([ROOT / "tools/setup", "--list", "build"], check=True, text=True,
                                stdout=subprocess.PIPE, timeout=30).stdout.split()
        # Compilers are the image's own; what fuzz targets don't use is left out.
        optional = {"gcc", "g++", "libc6-dev", "libseccomp-dev", "libmicrohttpd-dev",
                    "libcurl4-openssl-dev", "libexpat1-dev"}
        installed = set(re.findall(r"[a-z0-9-]+", image.split("install", 1)[1].split("ARG")[0]))
        self.assertLessEqual(set(wanted) - optional, installed)
        self.assertRegex(image, r"(?m)^COPY build\.sh \$SRC/$")


if __name__ == "__main__":
    unittest.main()
