/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a webhook's URL: what is taken makes a client, and a target without spaces or line
 * ends. The same as a redirect's. */
#include "services/webhook/webhook_priv.h"

#include "net/client.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_webhook_url url;
    struct ig_client *client = NULL;
    char base[IG_WEBHOOK_URL_MAX + 1];
    struct ig_str text = {(const char *)data, size};
    char next[IG_WEBHOOK_URL_MAX + 1];
    if (ig_webhook_url_follow(next, IG_STR("https://a/b"), text, &err) == IG_OK)
        IG_ASSERT(ig_webhook_url_parse(&url, ig_str_view(next), &err) == IG_OK);
    err = IG_ERR_INIT;
    if (ig_webhook_url_parse(&url, text, &err) != IG_OK) return 0;
    IG_ASSERT(url.host.len > 0 && url.base.len + url.target.len == size);
    for (size_t i = 0; i < url.target.len; i++)
        IG_ASSERT(url.target.ptr[i] > ' ' && url.target.ptr[i] <= '~');
    snprintf(base, sizeof base, "%.*s", IG_STR_ARGS(url.base));
    if (url.is_secure) return 0; /* reads the system's CAs */
    IG_ASSERT(ig_client_new(&client, base, NULL, &err) == IG_OK || url.host.len > 200);
    ig_client_free(client);
    return 0;
}
