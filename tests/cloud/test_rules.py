"""What AWS checks only at run time, as rules over the templates."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cloud import schemas
from cloud.schemas import DEPLOY
from legibly.cli.serve.serving import KEEP_ALIVE_SECONDS
from legibly.cloud import bucket, plan
from legibly.cloud.deploy import template_parameters

pytestmark = pytest.mark.service("cfn-lint")
REGION_FILES = ("sam",)
"""Files beside those of the regions that are no region."""


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    return schemas.resources("legibly.yaml")


def regions() -> dict[str, set[str]]:
    """The resource types of each region, as cfn-lint's data has them."""
    package = pytest.importorskip("cfnlint")
    folder = Path(package.__file__).parent / "data" / "schemas" / "providers"
    return {
        path.stem: set(json.loads(path.read_bytes()))
        for path in folder.glob("*.json")
        if path.stem not in REGION_FILES
    }


def test_load_balancers_and_databases_lie_in_two_zones(
    resources: dict[str, dict[str, Any]],
) -> None:
    """AWS refuses a load balancer or a subnet group with subnets of one zone."""
    zones = {
        name: json.dumps(resource["Properties"]["AvailabilityZone"])
        for name, resource in resources.items()
        if resource["Type"] == "AWS::EC2::Subnet"
    }
    groups = [
        resource["Properties"].get("Subnets") or resource["Properties"]["SubnetIds"]
        for resource in resources.values()
        if resource["Type"]
        in ("AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::RDS::DBSubnetGroup")
    ]
    assert len(groups) == 3
    for group in groups:
        assert len({zones[subnet["Ref"]] for subnet in group}) == len(group) == 2


def test_a_message_stays_hidden_for_longer_than_the_function_runs() -> None:
    """The defaults keep AWS's advice, six times the time-out; Lambda refuses a shorter one."""
    parameters = schemas.template("legibly.yaml")["Parameters"]
    retry = parameters["RetrySeconds"]["Default"]
    assert retry >= 6 * parameters["FunctionSeconds"]["Default"]


def test_the_bucket_waits_for_the_policies_that_s3_checks(
    resources: dict[str, dict[str, Any]],
) -> None:
    """S3 sends a test message when notifications are set, and checks the log bucket."""
    assert set(resources["Bucket"]["DependsOn"]) == {
        "ImagesQueuePolicy", "RecordsQueuePolicy", "ArtifactBucketPolicy",
    }  # fmt: skip
    assert "ArtifactBucketPolicy" in resources["Balancer"]["DependsOn"]


def test_names_fit_in_the_longest_region() -> None:
    """Bucket names have at most 63 characters, function names 64, with the longest stack name."""
    region = max(regions(), key=len)
    longest = plan.Plan(stack="x" * 29)
    assert len(longest.artifact_bucket("1" * 12, region)) <= 63
    assert len(longest.data_bucket("1" * 12, region)) <= 63
    assert len(f"{longest.stack}-reader") <= 64


def test_no_budget_is_created_in_regions_without_budgets() -> None:
    """CloudFormation refuses the whole template for a type that the region lacks."""
    lacking = {name for name, types in regions().items() if "AWS::Budgets::Budget" not in types}
    assert lacking == plan.REGIONS_WITHOUT_BUDGETS
    budget = schemas.resources("legibly.yaml")["CostBudget"]
    assert budget["Condition"] == "HasBudget"


def offered(kind: str) -> dict[str, set[str]]:
    """The instance types of each region, of EC2 or of PostgreSQL, as cfn-lint's data has them."""
    folder = "aws_ec2_instance" if kind == "ec2" else "aws_rds_dbinstance"
    name = "instancetype_enum" if kind == "ec2" else "dbinstanceclass_enum"
    package = Path(pytest.importorskip("cfnlint").__file__).parent
    path = package / "data" / "schemas" / "extensions" / folder / f"{name}.json"
    data = json.loads(path.read_bytes())
    if kind == "ec2":
        return {region: set(entry["enum"]) for region, entry in data.items() if "-" in region}
    return {region: database_types(entry) for region, entry in data.items()}


def database_types(entry: dict[str, Any]) -> set[str]:
    return {
        name
        for rule in entry["allOf"]
        if rule["if"]["properties"].get("Engine", {}).get("const") == "postgres"
        for name in rule["then"]["properties"]["DBInstanceClass"]["enum"]
    }


@pytest.mark.parametrize(
    ("parameter", "kind", "without"),
    [
        ("WebInstance", "ec2", set()),
        ("ModelInstance", "ec2", {"me-south-1"}),
        ("DatabaseInstance", "rds", {"ca-west-1"}),
    ],
)
def test_default_instances_are_offered_in_every_region(
    parameter: str, kind: str, without: set[str]
) -> None:
    """Exceptions are in the page of limits, with the parameter; China is another partition."""
    default = schemas.template("legibly.yaml")["Parameters"][parameter]["Default"]
    lacking = {region for region, types in offered(kind).items() if default not in types}
    assert {region for region in lacking if not region.startswith("cn-")} == without
    limits = (DEPLOY.parent / "docs" / "reference" / "aws-limits.md").read_text(encoding="utf-8")
    assert all(f"{region} lacks {default}" in limits for region in without)


def test_servers_keep_connections_longer_than_the_balancers(
    resources: dict[str, dict[str, Any]],
) -> None:
    """A server that closes first makes the balancer answer 502 now and then."""
    for resource in resources.values():
        if resource["Type"] == "AWS::ElasticLoadBalancingV2::LoadBalancer":
            attributes = resource["Properties"].get("LoadBalancerAttributes", [])
            values = {attribute["Key"]: attribute["Value"] for attribute in attributes}
            idle_seconds = int(values.get("idle_timeout.timeout_seconds", 60))
            assert idle_seconds < KEEP_ALIVE_SECONDS


def test_new_servers_are_waited_for(resources: dict[str, dict[str, Any]]) -> None:
    """A rolling update goes on only after a signal of readiness, and an error rolls it back."""
    for name, template, route in (
        ("WebServers", "WebTemplate", "/readyz"),
        ("ModelServers", "ModelTemplate", "/v2/health/ready"),
    ):
        update = resources[name]["UpdatePolicy"]["AutoScalingRollingUpdate"]
        assert update["WaitOnResourceSignals"] is True
        assert "ResourceSignal" in resources[name]["CreationPolicy"]
        script = user_data(resources[template])
        assert f"--resource {name}" in script
        assert f"http://127.0.0.1:8000{route}" in script
        assert script.index("systemctl enable") < script.index("curl")


def test_servers_install_from_their_archive_alone(resources: dict[str, dict[str, Any]]) -> None:
    """No package index at boot, a hash for each wheel, the code only of the account's own
    bucket.
    """
    for name in ("WebTemplate", "ModelTemplate"):
        script = user_data(resources[name])
        assert "pip install -q --no-index --no-deps --require-hashes" in script
        assert "--expected-bucket-owner ${AWS::AccountId}" in script
        assert "sha256sum" in script


def test_settings_reach_the_web_servers(resources: dict[str, dict[str, Any]]) -> None:
    """Each parameter of the web page's settings is in the environment of the service."""
    script = user_data(resources["WebTemplate"])
    for setting in (
        "MODEL", "HOSTS", "ASK_RATE", "REVIEW_PEOPLE", "OIDC_ISSUER", "OIDC_CLIENT_ID",
        "OIDC_DOMAINS", "OIDC_NAME", "PROXY",
    ):  # fmt: skip
        assert re.search(rf"^LEGIBLY_{setting}=\S", script, re.MULTILINE), setting


def test_own_packs_reach_function_and_servers(resources: dict[str, dict[str, Any]]) -> None:
    """The model is a parameter everywhere, and the roles may read packs of the bucket."""
    function = json.dumps(resources["Function"]["Properties"]["Environment"])
    assert '{"Ref": "Model"}' in function
    assert "LEGIBLY_MODEL=${Model}" in user_data(resources["ModelTemplate"])
    for role in ("FunctionRole", "ModelRole"):
        assert "/packs/*" in json.dumps(resources[role])


def test_callers_addresses_come_from_cloudfront(resources: dict[str, dict[str, Any]]) -> None:
    """The policy that passes CloudFront-Viewer-Address on, and servers that read it."""
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    policy = config["DefaultCacheBehavior"]["OriginRequestPolicyId"]
    assert policy == "33f36d7e-f396-46d9-90e0-52428a34d9dc"
    assert "LEGIBLY_PROXY=cloudfront" in user_data(resources["WebTemplate"])


def test_a_firewall_of_cloudfronts_scope_stands_before_the_page(
    resources: dict[str, dict[str, Any]],
) -> None:
    """CloudFront takes web ACLs of us-east-1 and of its own scope alone; without one there is
    none.
    """
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert config["WebACLId"]["Fn::If"][1:] == [{"Ref": "WebAcl"}, {"Ref": "AWS::NoValue"}]
    pattern = schemas.template("legibly.yaml")["Parameters"]["WebAcl"]["AllowedPattern"]
    own = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/mine/0a1b"
    assert re.fullmatch(pattern, own)
    assert re.fullmatch(pattern, "")
    for other in (own.replace("global", "regional"), own.replace("us-east-1", "eu-west-1"), "mine"):
        assert not re.fullmatch(pattern, other)


def test_requests_are_logged(resources: dict[str, dict[str, Any]]) -> None:
    """Bucket and load balancer write access logs into the code's bucket, which lets them."""
    attributes = resources["Balancer"]["Properties"]["LoadBalancerAttributes"]
    values = {attribute["Key"]: attribute["Value"] for attribute in attributes}
    assert values["access_logs.s3.enabled"] == "true"
    assert resources["Bucket"]["Properties"]["LoggingConfiguration"]["LogFilePrefix"]
    policy = json.dumps(resources["ArtifactBucketPolicy"])
    assert "logging.s3.amazonaws.com" in policy
    assert "logdelivery.elasticloadbalancing.amazonaws.com" in policy


def test_new_function_code_shifts_step_by_step(resources: dict[str, dict[str, Any]]) -> None:
    """The queue goes to an alias; errors of the function roll its shift back."""
    assert resources["Trigger"]["Properties"]["FunctionName"] == {"Ref": "FunctionAlias"}
    assert "CodeDeployLambdaAliasUpdate" in resources["FunctionAlias"]["UpdatePolicy"]
    group = resources["ShiftGroup"]["Properties"]
    assert group["AlarmConfiguration"]["Alarms"] == [{"Name": {"Ref": "FunctionErrors"}}]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    description = json.dumps(resources["FunctionVersion"]["Properties"]["Description"])
    for name in (
        "FunctionCode", "Model", "FunctionMemory", "FunctionSeconds", "Attempts", "TraceEndpoint",
    ):  # fmt: skip
        assert f"${{{name}}}" in description


def test_traces_leave_only_to_the_address_of_the_parameter(
    resources: dict[str, dict[str, Any]],
) -> None:
    """Function and web servers send to one address; X-Ray's two calls, the layer's collector and
    the agent's belong to `xray` alone.
    """
    properties = resources["Function"]["Properties"]
    variables = properties["Environment"]["Variables"]
    address = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]["Fn::If"]
    assert address[:2] == ["HasXray", "http://localhost:4318"]
    assert address[2]["Fn::If"] == ["HasTraces", {"Ref": "TraceEndpoint"}, {"Ref": "AWS::NoValue"}]
    assert properties["Layers"]["Fn::If"][:2] == ["HasLayer", [{"Ref": "TraceLayer"}]]
    template = resources["WebTemplate"]["Properties"]["LaunchTemplateData"]
    _, values = template["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert "\nOTEL_EXPORTER_OTLP_ENDPOINT=${Traces}\n" in user_data(resources["WebTemplate"])
    assert values["Traces"]["Fn::If"][:2] == ["HasXray", "http://127.0.0.1:4318"]
    assert values["Traces"]["Fn::If"][2] == {"Ref": "TraceEndpoint"}
    rule = schemas.template("legibly.yaml")["Rules"]["XrayNeedsLayer"]
    assert "TraceLayer" in json.dumps(rule["Assertions"])
    agent = '{"logs": {}' + values["AgentTraces"]["Fn::If"][1] + "}"
    assert json.loads(agent)["traces"]["traces_collected"]["otlp"]["http_endpoint"]
    for role in ("FunctionRole", "WebRole"):
        [granted] = [
            statement["Fn::If"]
            for policy in resources[role]["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if "xray" in json.dumps(statement)
        ]
        assert granted[0] == "HasXray"
        assert granted[1]["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert "xray" not in json.dumps(resources["ModelRole"])


def test_addresses_for_traces_are_encrypted_or_xrays() -> None:
    """Servers reach the internet by port 443 alone; a plain address would never get out."""
    pattern = schemas.template("legibly.yaml")["Parameters"]["TraceEndpoint"]["AllowedPattern"]
    for good in ("", "xray", "https://otlp.example.org"):
        assert re.fullmatch(pattern, good)
    for bad in ("http://collector:4318", "collector", "XRAY"):
        assert not re.fullmatch(pattern, bad)


def test_a_bucket_that_is_taken_over_gets_the_templates_rules(
    resources: dict[str, dict[str, Any]],
) -> None:
    """The rules that `deploy` sets itself are those of the template, in S3's own words."""
    rules = resources["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["Id"] for rule in rules] == [rule["ID"] for rule in bucket.LIFECYCLE]
    uploads, undone, answers, versions = bucket.LIFECYCLE
    assert uploads["AbortIncompleteMultipartUpload"] == rules[0]["AbortIncompleteMultipartUpload"]
    assert undone["Expiration"] == {"Days": rules[1]["ExpirationInDays"]}
    assert answers["Expiration"] == {"Days": rules[2]["ExpirationInDays"]}
    assert versions["NoncurrentVersionExpiration"] == rules[3]["NoncurrentVersionExpiration"]


def test_a_replica_gets_everything_and_deletions_too(resources: dict[str, dict[str, Any]]) -> None:
    """Every key, delete markers included, so that a replica keeps no erased image alive; the role
    reads this bucket and writes that one.
    """
    condition, replication, nothing = resources["Bucket"]["Properties"]["ReplicationConfiguration"][
        "Fn::If"
    ]
    assert (condition, nothing) == ("HasReplica", {"Ref": "AWS::NoValue"})
    [rule] = replication["Rules"]
    assert (rule["Status"], rule["Filter"]) == ("Enabled", {"Prefix": ""})
    assert rule["DeleteMarkerReplication"] == {"Status": "Enabled"}
    [policy] = resources["ReplicationRole"]["Properties"]["Policies"]
    *reads, writes = policy["PolicyDocument"]["Statement"]
    assert "${ReplicaBucket}/*" in writes["Resource"]["Fn::Sub"]
    assert set(writes["Action"]) == {"s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"}
    assert "ReplicaBucket" not in json.dumps(reads)


def test_the_job_reads_no_records_about_people() -> None:
    """Pairs, readings, deletions and settled lists; not accounts, audit log or uploads."""
    role = json.dumps(schemas.resources("accuracy.yaml")["JobRole"])
    for folder in ("pairs", "readings", "deletions", "settled"):
        assert f"/records/{folder}/*" in role
    assert "${DataBucket}/records/*" not in role
    for folder in ("accounts", "audit", "uploads", "classes"):
        assert f"records/{folder}" not in role


def test_failed_nights_raise_an_alarm() -> None:
    """A job that fails, and one that cannot be started, are reported to the stack's topic."""
    resources = schemas.resources("accuracy.yaml")
    pattern = resources["FailedJobs"]["Properties"]["EventPattern"]
    assert "FAILED" in pattern["detail"]["state"]
    assert resources["FailedJobs"]["Properties"]["Targets"][0]["Arn"] == {"Ref": "AlarmTopic"}
    assert resources["FailedStarts"]["Properties"]["MetricName"] == "TargetErrorCount"
    topic_policy = json.dumps(schemas.resources("legibly.yaml")["AlarmsPolicy"])
    assert "events.amazonaws.com" in topic_policy


def test_the_command_knows_the_templates_parameters() -> None:
    """The names that `cloud deploy` keeps previous values for are the template's."""
    assert template_parameters() == set(schemas.template("legibly.yaml")["Parameters"])


def user_data(template: dict[str, Any]) -> str:
    """The script of a launch template, before CloudFormation fills it in."""
    script = template["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    return str(script if isinstance(script, str) else script[0])
