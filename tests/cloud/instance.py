"""A server of the deployed stack on this machine: its user data, run as it stands, with a folder
for a root.

What an instance brings and this machine lacks is played: the package manager, `useradd`,
`systemctl`, AWS's command line (over boto3), and a virtual environment, for which this one serves.
All else is what bash makes of the script.
"""

import base64
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import services
from emulator import Deployment

_AWS = """#!{python}
import sys
import boto3

words = sys.argv[1:]
region = words[words.index("--region") + 1]
if words[:2] == ["s3api", "get-object"]:
    options = dict(zip(words[2:-1:2], words[3:-1:2], strict=True))
    owner = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    assert options["--expected-bucket-owner"] == owner
    client = boto3.client("s3", region_name=region)
    client.download_file(options["--bucket"], options["--key"], words[-1])
else:
    assert words[:2] == ["secretsmanager", "get-secret-value"], words
    secret = words[words.index("--secret-id") + 1]
    client = boto3.client("secretsmanager", region_name=region)
    print(client.get_secret_value(SecretId=secret)["SecretString"])
"""
_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3" && cp -r "{venv}" "$3/bin"; else exec {python} "$@"; fi
"""
_LEGIBLY = """#!/bin/sh
exec {python} -m legibly "$@"
"""
_PIP = """#!/bin/sh
test "$1 $2 $3 $4 $5 $6" = "install -q --no-index --no-deps --require-hashes --find-links" || exit 2
exec {python} -m pip --isolated download -q --no-index \\
  --no-deps --require-hashes --find-links "$7" \\
  --python-version 3.12 --only-binary=:all: --platform manylinux2014_x86_64 \\
  --platform manylinux_2_28_x86_64 --implementation cp -d "$7/../checked" -r "$9"
"""
_SIGNAL = """#!/bin/sh
echo "$@" > {root}/signal
"""
_DONE = "#!/bin/sh\nexit 0\n"
_PLACES = re.compile(r"(?<![\w.])/(?=(?:etc|opt|var/lib|var/log)/)")


@dataclass(frozen=True)
class Instance:
    """What its user data left on it."""

    root: Path
    environ: dict[str, str]

    @property
    def settings(self) -> dict[str, str]:
        """The environment that its service is given."""
        unit = self.unit
        matches = list[str]()
        for path in unit.get("EnvironmentFile", []):
            matches += Path(path).read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in [*matches, *unit.get("Environment", [])])

    @property
    def unit(self) -> dict[str, list[str]]:
        """The lines of its service, by their names."""
        text = (self.root / "etc/systemd/system/legibly.service").read_text(encoding="utf-8")
        unit: dict[str, list[str]] = {}
        for name, _, value in (line.partition("=") for line in text.splitlines() if "=" in line):
            unit.setdefault(name, []).append(value)
        return unit

    @contextlib.contextmanager
    def running(self, *, port: int | None = None, **changed: str) -> Iterator[str]:
        """Its service, as systemd would start it, on a port of the loopback interface; gives its
        address.
        """
        port = port or services.free_port()
        environ = {**self.environ, **self.settings, **changed}
        [start] = self.unit["ExecStart"]
        for before in self.unit.get("ExecStartPre", []):
            subprocess.run(
                shlex.split(before), env=environ, cwd=self.root, check=True, capture_output=True
            )
        command = [
            word.replace("0.0.0.0", "127.0.0.1").replace("8000", str(port))
            for word in shlex.split(start)
        ]
        url = f"http://127.0.0.1:{port}"
        with services.running(
            command, log=self.root / "service.log", env=environ, cwd=self.root
        ) as group:
            services.wait_for(
                lambda: urllib.request.urlopen(f"{url}/healthz", timeout=5),
                subject="it",
                seconds=90,
            )
            try:
                yield url
            finally:  # at once, and all of it: a polite end would go on answering for seconds
                os.killpg(group, signal.SIGKILL)


def boot(deployment: Deployment, template: str, role: str, root: Path) -> Instance:
    """Run the user data of the launch template whose name holds `template`, with the rights of one
    role and no more.
    """
    ec2 = deployment.client("ec2")
    [name] = [
        matches["LaunchTemplateName"]
        for matches in ec2.describe_launch_templates()["LaunchTemplates"]
        if template in matches["LaunchTemplateName"]
    ]
    versions = ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Latest"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"]
    script = _PLACES.sub(f"{root}/", base64.b64decode(data).decode())
    environ = {
        **os.environ,
        **_as(deployment, role),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    environ["PATH"] = f"{_play(root)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-x", "-c", script],
        env=environ,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Instance(root, environ)


def _as(deployment: Deployment, role: str) -> dict[str, str]:
    """The environment of somebody who may do what a role of the stack may, by the policies of the
    template.
    """
    iam = deployment.client("iam")
    [name] = [
        matches["RoleName"] for matches in iam.list_roles()["Roles"] if role in matches["RoleName"]
    ]
    user = f"as-{name}"
    iam.create_user(UserName=user)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document)
        iam.put_user_policy(UserName=user, PolicyName=policy, PolicyDocument=text)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    mine = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    return {**deployment.emulator.environ, **mine}


def _play(root: Path) -> Path:
    """The commands of an instance; returns their folder."""
    tools = root / "played"
    venv = root / "venv"
    agent = root / "opt/aws/amazon-cloudwatch-agent/bin"
    signal_tool = root / "opt/aws/bin/cfn-signal"
    for folder in (
        tools,
        venv,
        agent,
        signal_tool.parent,
        root / "etc/systemd/system",
        root / "var/lib/legibly",
    ):
        folder.mkdir(parents=True)
    files = {tools / name: _DONE for name in ("dnf", "useradd", "systemctl", "curl")}
    files |= {
        signal_tool: _SIGNAL.replace("{root}", str(root)),
        agent / "amazon-cloudwatch-agent-ctl": _DONE,
        venv / "pip": _PIP,
        venv / "legibly": _LEGIBLY,
    }
    files |= {tools / "aws": _AWS, tools / "python3.12": _PYTHON}
    for path, text in files.items():
        path.write_text(
            text.replace("{python}", sys.executable).replace("{venv}", str(venv)), encoding="utf-8"
        )
        path.chmod(0o755)
    return tools
