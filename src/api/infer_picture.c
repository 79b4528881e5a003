/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations as pictures: the reply of a request with "plot" is an SVG document of all rows. */
#include "api/infer.h"

static enum ig_code collect(struct ig_picture **picture, struct ig_call *call,
                            struct ig_infer *infer)
{
    struct ig_picture_request request = infer->request.explain.picture;
    request.class_name = infer->request.explain.class_name;
    for (size_t i = 0; i < infer->request.rows_count; i++) {
        struct ig_answer answer = ig_infer_answer(infer, i, NULL);
        if (i == 0 && ig_picture_new(picture, &request, &answer, &call->err) != IG_OK)
            return call->err.code;
        if (ig_picture_add(*picture, &answer, &call->err) != IG_OK) return call->err.code;
    }
    return IG_OK;
}

enum ig_code ig_infer_picture(struct ig_call *call, struct ig_infer *infer)
{
    struct ig_picture *picture = NULL;
    if (collect(&picture, call, infer) == IG_OK)
        ig_picture_write(&call->exchange->reply, picture, &call->err);
    ig_picture_free(picture);
    call->exchange->content_type = "image/svg+xml";
    return call->err.code;
}
