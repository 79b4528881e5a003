/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_TESTING_H
#define IG_SERVICES_GATEWAY_GATEWAY_TESTING_H

/* A gateway's configuration on a database of its own, and what tests fill it with. */

#include "services/gateway/gateway.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_tracking *tracking;
static struct ig_gateway *gateway;
static struct ig_arena arena;
static struct ig_err err;

static inline void open_gateway(void)
{
    const struct ig_gateway_options options = {.db = db, .tracking = tracking, .dirfd = temp.fd};
    ASSERT_OK(ig_gateway_open(&gateway, &options, &err));
}

static inline int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    const struct ig_db_options options = ig_db_testing_options(temp.fd);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_tracking_open(&tracking, db, &err));
    open_gateway();
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    ig_gateway_close(gateway);
    ig_tracking_close(tracking);
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

static inline struct ig_gateway_secret make_secret(const char *name, const char *value)
{
    const struct ig_tracking_pair pair = {IG_STR("api_key"), ig_str_view(value)};
    const struct ig_tracking_pairs values = {&pair, 1};
    const struct ig_gateway_secret_spec spec = {
        .id = IG_STR(""), .name = ig_str_view(name), .values = &values};
    struct ig_gateway_secret made;
    ASSERT_OK(ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    return made;
}

static inline struct ig_gateway_model make_model(const char *name, struct ig_str secret)
{
    const struct ig_gateway_model_spec spec = {.id = IG_STR(""),
                                               .name = ig_str_view(name),
                                               .secret = secret,
                                               .provider = IG_STR("openai"),
                                               .model = IG_STR("gpt-4")};
    struct ig_gateway_model made;
    ASSERT_OK(ig_gateway_model_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    return made;
}

#endif
