"""Makes identities in an AWS stand-in: aws_identities.py ENDPOINT KEY_ID SECRET PREFIX. Needs botocore.

A user who may do nothing, and a role that may use KMS keys and is assumed with an external id. Prints the
variables, whose names start with PREFIX, that tell the tests of them.
"""

import json
import shlex
import sys

import botocore.session

EXTERNAL_ID = "test-external-id"


def main():
    endpoint, key_id, secret, prefix = sys.argv[1:]
    iam = botocore.session.get_session().create_client(
        "iam",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    role = iam.create_role(RoleName="backup", AssumeRolePolicyDocument=policy(trust))["Role"]
    use = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
    iam.put_role_policy(
        RoleName="backup",
        PolicyName="use-keys",
        PolicyDocument=policy({"Effect": "Allow", "Action": use, "Resource": "*"}),
    )
    variables = {
        "STRANGER": f"{key['AccessKeyId']}:{key['SecretAccessKey']}",
        "ROLE": role["Arn"],
        "EXTERNAL_ID": EXTERNAL_ID,
    }
    for name, value in variables.items():
        print(f"export {prefix}_{name}={shlex.quote(value)}")


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


main()
