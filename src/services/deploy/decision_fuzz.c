/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of the decision log: any bytes are read safely, and what is read writes back the same.
 */
#include "services/deploy/decision_priv.h"

#include <string.h>

static bool check(void *context, const struct ig_decision *decision)
{
    unsigned char record[IG_DECISION_RECORD_MAX], again[IG_DECISION_RECORD_MAX];
    struct ig_decision back;
    (void)context;
    size_t bytes = ig_decision_encode(record, decision);
    IG_ASSERT(ig_decision_decode(&back, record + IG_DECISION_FRAME_BYTES,
                                 bytes - IG_DECISION_FRAME_BYTES));
    IG_ASSERT(ig_decision_encode(again, &back) == bytes);
    IG_ASSERT(memcmp(record + IG_DECISION_FRAME_BYTES, again + IG_DECISION_FRAME_BYTES,
                     bytes - IG_DECISION_FRAME_BYTES) == 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_decision_replay replay = {.each = check};
    struct ig_decision decision;
    ig_decision_replay(&replay, data, size);
    IG_ASSERT(replay.torn <= 1);
    if (ig_decision_decode(&decision, data, size)) check(NULL, &decision); /* without a CRC */
    return 0;
}
