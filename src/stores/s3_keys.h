/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_KEYS_H
#define IG_STORES_S3_KEYS_H

/* Keys to S3 wherever AWS's own tools find them. In this order:
 *
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY
 *   AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN: of the token service (a pod's service account)
 *   the profile AWS_PROFILE of the credentials file
 *   AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI: of a container
 *   the role of the instance, by the metadata service's version 2, unless
 *   AWS_EC2_METADATA_DISABLED is true
 *
 * AWS_ENDPOINT_URL_STS and AWS_EC2_METADATA_SERVICE_ENDPOINT go over the places of the services.
 * Tokens and keys reach no message. Blocks; thread-safe. */

#include "stores/s3_config.h"
#include "stores/s3_http.h"

/* UNAUTHENTICATED: there are none; UNAVAILABLE: who gives them does not. */
enum ig_code ig_s3_keys_find(struct ig_s3_keys *out, struct ig_s3_http *http, const char *region,
                             struct ig_err *err);
/* Of the reply of a container's or an instance's service. */
enum ig_code ig_s3_keys_read_json(struct ig_s3_keys *out, struct ig_str json, struct ig_err *err);
/* Of the token service's. */
enum ig_code ig_s3_keys_read_xml(struct ig_s3_keys *out, struct ig_str xml, struct ig_err *err);

#endif
