# Apply it as the custodian: nobody else may change these keys afterwards.
# A replica needs a provider for its Region: provider "aws" { alias = "eu_west_1" ... }
# A key whose material was imported has no rotation: take `enable_key_rotation` out.

import {
  to = aws_kms_key.strongroom_cloud
  id = "mrk-1"
}

resource "aws_kms_key" "strongroom_cloud" {
  description             = "Strongroom keyholder cloud"
  deletion_window_in_days = 30
  enable_key_rotation     = true
  multi_region            = true
  policy = <<-POLICY
    {
      "Id": "strongroom-07070707070707070707070707070707",
      "Statement": [
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-writer"
          },
          "Resource": "*",
          "Sid": "WriterWrapsReadKeys"
        },
        {
          "Action": "kms:Decrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-reader"
          },
          "Resource": "*",
          "Sid": "ReaderOpensReadKeys"
        },
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsReadKeys"
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-writer"
          },
          "Resource": "*",
          "Sid": "WriterWrapsAndOpensWriteKeys"
        },
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsWriteKeys"
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": "*",
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsAndOpensTheSigningKey"
        },
        {
          "Action": "kms:DescribeKey",
          "Effect": "Allow",
          "Principal": {
            "AWS": [
              "arn:aws:iam::123456789012:role/strongroom-owner",
              "arn:aws:iam::123456789012:role/strongroom-reader",
              "arn:aws:iam::123456789012:role/strongroom-writer"
            ]
          },
          "Resource": "*",
          "Sid": "RolesSeeTheKey"
        },
        {
          "Action": [
            "kms:CancelKeyDeletion",
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "kms:DeleteImportedKeyMaterial",
            "kms:DescribeKey",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetParametersForImport",
            "kms:ImportKeyMaterial",
            "kms:ListGrants",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:RevokeGrant",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateAlias",
            "kms:UpdateKeyDescription"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-custodian"
          },
          "Resource": "*",
          "Sid": "CustodianBreaksGlass"
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetPublicKey",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListKeyRotations",
            "kms:ListResourceTags"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-auditor"
          },
          "Resource": "*",
          "Sid": "AuditorSees"
        },
        {
          "Action": [
            "kms:DeleteImportedKeyMaterial",
            "kms:DisableKey",
            "kms:ImportKeyMaterial",
            "kms:PutKeyPolicy",
            "kms:ReplicateKey",
            "kms:ScheduleKeyDeletion",
            "kms:UpdatePrimaryRegion"
          ],
          "Condition": {
            "ArnNotEquals": {
              "aws:PrincipalArn": "arn:aws:iam::123456789012:role/strongroom-custodian"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyElseEndsOrChangesTheKey"
        },
        {
          "Action": "kms:ScheduleKeyDeletion",
          "Condition": {
            "NumericLessThan": {
              "kms:ScheduleKeyDeletionPendingWindowInDays": "30"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NoDeletionBeforeTheLongestWait"
        },
        {
          "Action": "kms:CreateGrant",
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyMakesGrants"
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "strongroom_cloud" {
  name          = "alias/strongroom-cloud"
  target_key_id = aws_kms_key.strongroom_cloud.key_id
}

resource "aws_kms_key_policy" "strongroom_cloud_eu_west_1" {
  provider = aws.eu_west_1
  key_id = "mrk-1"
  policy = <<-POLICY
    {
      "Id": "strongroom-07070707070707070707070707070707",
      "Statement": [
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-writer"
          },
          "Resource": "*",
          "Sid": "WriterWrapsReadKeys"
        },
        {
          "Action": "kms:Decrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-reader"
          },
          "Resource": "*",
          "Sid": "ReaderOpensReadKeys"
        },
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsReadKeys"
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-writer"
          },
          "Resource": "*",
          "Sid": "WriterWrapsAndOpensWriteKeys"
        },
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsWriteKeys"
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": "*",
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-owner"
          },
          "Resource": "*",
          "Sid": "OwnerWrapsAndOpensTheSigningKey"
        },
        {
          "Action": "kms:DescribeKey",
          "Effect": "Allow",
          "Principal": {
            "AWS": [
              "arn:aws:iam::123456789012:role/strongroom-owner",
              "arn:aws:iam::123456789012:role/strongroom-reader",
              "arn:aws:iam::123456789012:role/strongroom-writer"
            ]
          },
          "Resource": "*",
          "Sid": "RolesSeeTheKey"
        },
        {
          "Action": [
            "kms:CancelKeyDeletion",
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "kms:DeleteImportedKeyMaterial",
            "kms:DescribeKey",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetParametersForImport",
            "kms:ImportKeyMaterial",
            "kms:ListGrants",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:RevokeGrant",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateAlias",
            "kms:UpdateKeyDescription"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-custodian"
          },
          "Resource": "*",
          "Sid": "CustodianBreaksGlass"
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetPublicKey",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListKeyRotations",
            "kms:ListResourceTags"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-auditor"
          },
          "Resource": "*",
          "Sid": "AuditorSees"
        },
        {
          "Action": [
            "kms:DeleteImportedKeyMaterial",
            "kms:DisableKey",
            "kms:ImportKeyMaterial",
            "kms:PutKeyPolicy",
            "kms:ReplicateKey",
            "kms:ScheduleKeyDeletion",
            "kms:UpdatePrimaryRegion"
          ],
          "Condition": {
            "ArnNotEquals": {
              "aws:PrincipalArn": "arn:aws:iam::123456789012:role/strongroom-custodian"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyElseEndsOrChangesTheKey"
        },
        {
          "Action": "kms:ScheduleKeyDeletion",
          "Condition": {
            "NumericLessThan": {
              "kms:ScheduleKeyDeletionPendingWindowInDays": "30"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NoDeletionBeforeTheLongestWait"
        },
        {
          "Action": "kms:CreateGrant",
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyMakesGrants"
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_kms_key_policy" "strongroom_escrow_rsa" {
  key_id = "1234abcd-12ab-34cd-56ef-1234567890ab"
  policy = <<-POLICY
    {
      "Id": "strongroom-07070707070707070707070707070707",
      "Statement": [
        {
          "Action": "kms:Decrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"
            }
          },
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-reader"
          },
          "Resource": "*",
          "Sid": "ReaderOpensReadKeys"
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetPublicKey"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": [
              "arn:aws:iam::123456789012:role/strongroom-owner",
              "arn:aws:iam::123456789012:role/strongroom-reader",
              "arn:aws:iam::123456789012:role/strongroom-writer"
            ]
          },
          "Resource": "*",
          "Sid": "RolesSeeTheKey"
        },
        {
          "Action": [
            "kms:CancelKeyDeletion",
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "kms:DeleteImportedKeyMaterial",
            "kms:DescribeKey",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetParametersForImport",
            "kms:ImportKeyMaterial",
            "kms:ListGrants",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:RevokeGrant",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateAlias",
            "kms:UpdateKeyDescription"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-custodian"
          },
          "Resource": "*",
          "Sid": "CustodianBreaksGlass"
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetPublicKey",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListKeyRotations",
            "kms:ListResourceTags"
          ],
          "Effect": "Allow",
          "Principal": {
            "AWS": "arn:aws:iam::123456789012:role/strongroom-auditor"
          },
          "Resource": "*",
          "Sid": "AuditorSees"
        },
        {
          "Action": [
            "kms:DeleteImportedKeyMaterial",
            "kms:DisableKey",
            "kms:ImportKeyMaterial",
            "kms:PutKeyPolicy",
            "kms:ReplicateKey",
            "kms:ScheduleKeyDeletion",
            "kms:UpdatePrimaryRegion"
          ],
          "Condition": {
            "ArnNotEquals": {
              "aws:PrincipalArn": "arn:aws:iam::123456789012:role/strongroom-custodian"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyElseEndsOrChangesTheKey"
        },
        {
          "Action": "kms:ScheduleKeyDeletion",
          "Condition": {
            "NumericLessThan": {
              "kms:ScheduleKeyDeletionPendingWindowInDays": "30"
            }
          },
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NoDeletionBeforeTheLongestWait"
        },
        {
          "Action": "kms:CreateGrant",
          "Effect": "Deny",
          "Principal": "*",
          "Resource": "*",
          "Sid": "NobodyMakesGrants"
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_kms_alias" "strongroom_escrow_rsa" {
  name          = "alias/strongroom-escrow-rsa"
  target_key_id = "1234abcd-12ab-34cd-56ef-1234567890ab"
}

resource "aws_iam_policy" "strongroom_auditor" {
  name   = "strongroom-auditor-07070707"
  policy = <<-POLICY
    {
      "Statement": [
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetPublicKey",
            "kms:ListGrants",
            "kms:ListKeyPolicies",
            "kms:ListKeyRotations",
            "kms:ListResourceTags"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ],
          "Sid": "AuditorSees"
        },
        {
          "Action": [
            "cloudtrail:LookupEvents",
            "kms:ListAliases",
            "kms:ListKeys"
          ],
          "Effect": "Allow",
          "Resource": "*",
          "Sid": "AuditorLists"
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_iam_policy" "strongroom_custodian" {
  name   = "strongroom-custodian-07070707"
  policy = <<-POLICY
    {
      "Statement": [
        {
          "Action": [
            "kms:CancelKeyDeletion",
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "kms:DeleteImportedKeyMaterial",
            "kms:DescribeKey",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:GetParametersForImport",
            "kms:ImportKeyMaterial",
            "kms:ListGrants",
            "kms:ListResourceTags",
            "kms:PutKeyPolicy",
            "kms:RevokeGrant",
            "kms:ScheduleKeyDeletion",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateAlias",
            "kms:UpdateKeyDescription"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ],
          "Sid": "CustodianBreaksGlass"
        },
        {
          "Action": [
            "kms:CreateAlias",
            "kms:DeleteAlias",
            "kms:UpdateAlias"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:alias/strongroom-*",
            "arn:aws:kms:us-east-1:123456789012:alias/strongroom-*"
          ],
          "Sid": "CustodianNames"
        },
        {
          "Action": "kms:ScheduleKeyDeletion",
          "Condition": {
            "NumericLessThan": {
              "kms:ScheduleKeyDeletionPendingWindowInDays": "30"
            }
          },
          "Effect": "Deny",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ],
          "Sid": "NoDeletionBeforeTheLongestWait"
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_iam_policy" "strongroom_owner" {
  name   = "strongroom-owner-07070707"
  policy = <<-POLICY
    {
      "Statement": [
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": "*",
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": "kms:DescribeKey",
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetPublicKey"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
          ]
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_iam_policy" "strongroom_reader" {
  name   = "strongroom-reader-07070707"
  policy = <<-POLICY
    {
      "Statement": [
        {
          "Action": "kms:Decrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": "kms:DescribeKey",
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": "kms:Decrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
          ]
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetPublicKey"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
          ]
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}

resource "aws_iam_policy" "strongroom_writer" {
  name   = "strongroom-writer-07070707"
  policy = <<-POLICY
    {
      "Statement": [
        {
          "Action": "kms:Encrypt",
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:purpose": "read",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": [
            "kms:Decrypt",
            "kms:Encrypt"
          ],
          "Condition": {
            "StringEquals": {
              "kms:EncryptionContext:strongroom:dataset": [
                "home",
                "mail"
              ],
              "kms:EncryptionContext:strongroom:epoch": "0",
              "kms:EncryptionContext:strongroom:purpose": "write",
              "kms:EncryptionContext:strongroom:vault": "07070707070707070707070707070707"
            }
          },
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": "kms:DescribeKey",
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
          ]
        },
        {
          "Action": [
            "kms:DescribeKey",
            "kms:GetPublicKey"
          ],
          "Effect": "Allow",
          "Resource": [
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
          ]
        }
      ],
      "Version": "2012-10-17"
    }
  POLICY
}
