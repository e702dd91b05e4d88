"""Advice for what AWS refuses, by the words of its messages."""

import re

_QUOTA = "Ask for more in Service Quotas ({}), then deploy again."
_NEW_ACCOUNT = "Ask AWS's support to allow it for a new account; --size none works meanwhile."
_TYPE = "It is not offered there: choose another type by -p {}=, or another --region."
_ADVICE = {
    r"nonexistent value at index 1": "This account has default subnets in one zone alone: "
    "`aws ec2 create-default-subnet` adds one; or use another --region.",
    r"must be verified before|does not support creating load balancers": _NEW_ACCOUNT,
    r"not eligible for Free Tier": "Use -p WebInstance=t3.small, or leave AWS's free plan.",
    r"vCPU (capacity|limit)|VcpuLimitExceeded": _QUOTA.format("EC2, On-Demand Standard"),
    r"DBInstanceClass|DB instance class|Cannot find version": _TYPE.format("DatabaseInstance"),
    r"(?i)instance type.*not supported|requested configuration is.* not supported": _TYPE.format(
        "WebInstance= or -p ModelInstance"
    ),
    r"maximum number of (VPC|addresses|internet)|LimitExceeded.*VPC": _QUOTA.format("VPC"),
    r"MemorySize.*less than or equal": "New accounts allow -p FunctionMemory=3008 at most.",
    r"ConcurrentExecution": _QUOTA.format("AWS Lambda, Concurrent executions"),
    r"CNAMEs you provided": "Remove the domain from the other distribution, then deploy again.",
    r"SSL certificate doesn't exist": "It must be issued, for this domain, in us-east-1.",
    r"(?i)\bkms\b": "The key's policy must allow the stack's roles kms:Decrypt and "
    "kms:GenerateDataKey; or give the bucket S3's own key (AES256).",
    r"(?i)not authorized to perform|explicit deny|AccessDenied": "An administrator updates your "
    "policy to `legibly cloud policy`; then repeat the command.",
    r"resource signal": "The new server did not become ready: see the log group of the servers.",
    r"(?i)already exists": "Delete what has this name, or choose another one: --stack NAME.",
}
"""Remedies by patterns of messages; the first that matches counts."""


def advice(message: str) -> str:
    """The remedy for a message of AWS; empty if none is known."""
    return next((remedy for words, remedy in _ADVICE.items() if re.search(words, message)), "")
