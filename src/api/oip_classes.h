/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_OIP_CLASSES_H
#define IG_API_OIP_CLASSES_H

/* The classification extension of the Open Inference Protocol: in the place of an output the texts
 * "score:index" or "score:index:label" of its greatest elements, best first. A binary model's one
 * probability counts as those of both classes. */

#include "api/oip_model.h"

struct ig_oip_score {
    double value;
    uint32_t index;
};
struct ig_oip_classes {
    size_t count; /* texts a row */
    size_t scores_count;
    bool both;                   /* the one number is the probability of class 1 */
    struct ig_oip_score *scores; /* of the row at hand, best first */
};

/* For a result of which so many (at least 1) are wanted. In the arena. INVALID unless it is the
 * predictions or the margins. */
enum ig_code ig_oip_classes_new(struct ig_oip_classes **out, enum ig_oip_result result,
                                const struct ig_servable *face, uint32_t wanted,
                                struct ig_arena *arena, struct ig_err *err);
/* Ranks a row's numbers: scores_count of them, or the one probability. NaN comes last. */
void ig_oip_classes_rank(struct ig_oip_classes *classes, const double *numbers);
/* Appends the text of the one at a place. The schema's classes are its labels when they are as many
 * as the scores. */
void ig_oip_classes_write(struct ig_buf *out, const struct ig_oip_classes *classes, size_t at,
                          const struct ig_schema *schema);

#endif
