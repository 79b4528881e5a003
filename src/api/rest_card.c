/* SPDX-License-Identifier: Apache-2.0 */
/* Model cards. */
#include "api/rest.h"
#include "api/route.h"
#include "services/lineage/card.h"

enum ig_code ig_rest_version_card(struct ig_call *call)
{
    const struct ig_card_sources sources = {.db = call->app->db,
                                            .blobs = call->app->blobs,
                                            .registry = call->app->registry,
                                            .tracking = call->app->tracking,
                                            .backgrounds = call->app->backgrounds};
    struct ig_buf text;
    int64_t version;
    if (ig_rest_version_number(&version, call, call->params[1]) != IG_OK) return call->err.code;
    ig_buf_init(&text, IG_CARD_MAX_BYTES);
    if (ig_card_write(&text, &sources, call->params[0], version, call->arena, &call->err) ==
        IG_OK) {
        call->exchange->content_type = "text/markdown; charset=utf-8";
        ig_buf_add_str(&call->exchange->reply, ig_buf_view(&text));
        if (call->exchange->reply.overflowed) ig_fail(&call->err, IG_NO_MEMORY, "card");
    }
    ig_buf_deinit(&text);
    return call->err.code;
}
