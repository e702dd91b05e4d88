"""The deployer's policy: complete and minimal against AWS's own lists, and no way to
administrator.
"""

import ast
import fnmatch
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from cloud import schemas
from cloud.schemas import DEPLOY

pytestmark = pytest.mark.service("cfn-lint")

UNUSED = {
    "cognito-idp": "no sign-in at the load balancer",
    "ecr": "no container images",
    "elasticfilesystem": "no file systems",
    "firehose": "logs are not forwarded",
    "lakeformation": "IAM alone decides about tables, as accounts have it by default",
    "kms": "keys that AWS manages need no permission of the caller",
    "managed-fleets": "no managed fleets",
    "s3files": "no file systems",
    "s3tables": "no metadata tables",
    "sso": "no interactive sessions of EMR",
    "vpc-lattice": "no VPC Lattice",
    "vpce": "no interface endpoints",
}
"""Services whose calls belong to properties that the templates do not set."""
REFUSED = {
    "iam:DeleteRolePermissionsBoundary": "it would lift the boundary",
    "iam:ListRoles": "the handler lists roles only to import them without a name",
    "ec2:AttachVpnGateway": "no VPN",
    "ec2:DetachVpnGateway": "no VPN",
    "ec2:CreateVpcEncryptionControl": "not set",
    "ec2:CreateNetworkInterface": "the function's own role creates them",
    "cloudfront:GetVpcOrigin": "no VPC origins",
    "ssm:Get*": "only parameters are read",
    "cloudfront:CreateConnectionGroup": "no tenants",
    "cloudfront:GetConnectionGroup": "no tenants",
    "cloudfront:UpdateDistributionWithStagingConfig": "no staging distribution",
    "glue:CreateConnection": "no connections",
    "glue:DeleteConnection": "no connections",
    "glue:GetConnection": "no connections",
    "glue:PassConnection": "no connections",
    "glue:UpdateConnection": "no connections",
    "glue:GetSchemaVersion": "columns are in the template",
    "logs:CreateLogDelivery": "no flow logs",
    "logs:DescribeResourcePolicies": "not set",
    "secretsmanager:RemoveRegionsFromReplication": "one region",
    "secretsmanager:ReplicateSecretToRegions": "one region",
}
"""Calls of the handlers that the policy leaves out on purpose."""
RENAMED = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:UploadFile": "s3:PutObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:DeleteObjects": "s3:DeleteObjectVersion",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:PutBucketCors": "s3:PutBucketCORS",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibility",
}
"""Operations whose permission has another name."""


def statements(name: str = "deployer-policy.json") -> list[dict[str, Any]]:
    return list(json.loads((DEPLOY / name).read_text(encoding="utf-8"))["Statement"])


def actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)


def patterns(name: str = "deployer-policy.json") -> list[str]:
    return [action for statement in statements(name) for action in actions(statement)]


def matches(call: str, pattern: str) -> bool:
    """Whether a pattern of a policy allows a call, which may itself be a pattern of a handler."""
    return fnmatch.fnmatchcase(call.lower().rstrip("*"), pattern.lower()) or (
        fnmatch.fnmatchcase(call.lower(), pattern.lower())
    )


def needed() -> Iterator[str]:
    """Every call that CloudFormation or `legibly cloud` makes with the deployer's credentials."""
    for resource_type in schemas.resource_types():
        for call in schemas.handler_calls(resource_type):
            if call.partition(":")[0].lower() not in UNUSED and call not in REFUSED:
                yield call
    for name in schemas.TEMPLATES:
        for parameter in schemas.template(name)["Parameters"].values():
            if parameter["Type"].startswith("AWS::SSM::"):
                yield "ssm:GetParameters"
    yield from own_calls()


def own_calls() -> set[str]:
    """The permissions for the calls of src/legibly/cloud, taken from its source."""
    folder = DEPLOY.parent / "src" / "legibly" / "cloud"
    calls: set[str] = set()
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        names = {
            node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "value", ""))
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute | ast.Constant)
        }
        for service in set(re.findall(r"client\(\"([\w-]+)\"\)", text)):
            mapping = boto3.client(service, "us-east-1").meta.method_to_api_mapping
            for name in names & {*mapping, "upload_file"}:
                if name == "upload_file" and service != "s3":
                    continue
                call = f"{service}:{mapping.get(name, 'UploadFile')}"
                calls.add(RENAMED.get(call, call))
    return calls


def test_the_policy_allows_every_call_of_cloudformation_and_of_the_command() -> None:
    """Complete: nothing that a handler's list or our own source calls is missing."""
    allowed = patterns()
    missing = {call for call in needed() if not any(matches(call, pattern) for pattern in allowed)}
    assert not missing
    for call in ("iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:UpdateRole"):
        assert call in allowed
    assert {"cloudformation:CreateChangeSet", "s3:PutObject", "sqs:ReceiveMessage"} <= own_calls()


def test_the_policy_allows_nothing_without_a_use() -> None:
    """Minimal: each action that it names, and each it leaves out on purpose, belongs to a call."""
    calls = {*needed()}
    services_with_names = {
        action for statement in statements() if statement["Sid"] == "ByName"
        for action in actions(statement)
    }  # fmt: skip
    used = {
        pattern for pattern in patterns()
        if any(matches(call, pattern) or matches(pattern, call) for call in calls)
    }  # fmt: skip
    assert set(patterns()) - used - services_with_names == set()
    listed = set().union(*(schemas.handler_calls(kind) for kind in schemas.resource_types()))
    assert set(REFUSED) <= listed


def test_wildcards_of_a_service_reach_resources_of_the_stack_alone() -> None:
    """`s3:*` and its like are bound to names that begin with the stack's; IAM has no wildcard."""
    for statement in statements():
        for action in actions(statement):
            if action.endswith(":*"):
                assert statement["Sid"] == "ByName"
            assert not (action.startswith("iam:") and "*" in action)
    [by_name] = [entry for entry in statements() if entry["Sid"] == "ByName"]
    for arn in by_name["Resource"]:
        assert "legibly" in arn or arn.endswith(":/applications/*")  # EMR's ids are generated


def test_whoever_deploys_cannot_become_administrator() -> None:
    """Roles are created and filled only within the boundary, which cannot be lifted or edited."""
    for statement in statements():
        conditions = json.dumps(statement.get("Condition", {}))
        for action in actions(statement):
            if re.match(
                r"iam:(Create|Attach|Put|Detach)Role(Policy|PermissionsBoundary)?$", action
            ):
                assert "iam:PermissionsBoundary" in conditions, action
                assert "legibly-boundary" in conditions
            if action == "iam:PassRole":
                assert "iam:PassedToService" in conditions
            if action == "iam:AttachRolePolicy":
                assert "iam:PolicyARN" in conditions
            assert action not in ("iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion")
            assert not action.startswith(("iam:CreateUser", "iam:CreateAccessKey", "sts:Assume"))


def test_the_boundary_allows_the_actions_of_the_templates_roles() -> None:
    """A role that the boundary cuts short would fail at run time, which no emulator shows."""
    allowed = patterns("boundary-policy.json")
    for name in schemas.TEMPLATES:
        for resource in schemas.resources(name).values():
            for policy in resource.get("Properties", {}).get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    for action in actions(statement.get("Fn::If", [None, statement])[1]):
                        assert any(matches(action, pattern) for pattern in allowed), action
    assert not [action for action in allowed if action in ("*", "iam:*", "s3:*")]


def test_every_role_of_the_templates_has_the_boundary() -> None:
    """Where a boundary is given, no role escapes it."""
    for name in schemas.TEMPLATES:
        for resource in schemas.resources(name).values():
            if resource["Type"] == "AWS::IAM::Role":
                assert resource["Properties"]["PermissionsBoundary"] == {
                    "Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"},
                               {"Ref": "AWS::NoValue"}]
                }  # fmt: skip


@pytest.mark.parametrize("name", ["deployer-policy.json", "boundary-policy.json"])
def test_policies_fit_into_a_single_managed_policy(name: str) -> None:
    """IAM allows 6,144 characters without white space."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert len(re.sub(r"\s", "", text)) <= 6144


def test_each_skip_of_checkov_has_its_reason() -> None:
    """`checkov --config-file deploy/checkov.yaml` finds nothing else; each skip says why."""
    lines = (DEPLOY / "checkov.yaml").read_text(encoding="utf-8").splitlines()
    skips = [line for line in lines if line.strip().startswith("- CKV")]
    assert skips
    assert all(re.search(r"# \w.{10}|# as above", line) for line in skips)
