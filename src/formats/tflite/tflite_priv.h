/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_TFLITE_TFLITE_PRIV_H
#define IG_FORMATS_TFLITE_TFLITE_PRIV_H

#include "formats/tflite/flatbuffer.h"
#include "formats/tflite/tflite.h"
#include "formats/tflite/tflite_schema.h"

/* A file while it is read. Tensors of the file join the network when something first names them. */
struct tflite_reader {
    struct ig_flatbuffer buffer;
    struct ig_err *err;
    struct ig_network *network;
    struct ig_flatbuffer_vector codes, buffers, tensors, operators;
    uint32_t *tensor_of; /* by the file's tensor: the network's plus 1, 0: not yet */
};

bool tflite_ok(const struct tflite_reader *reader);
bool tflite_no_memory(struct tflite_reader *reader);
/* The network's tensor for the file's; false with the error when it cannot be had. */
bool tflite_tensor(struct tflite_reader *reader, int32_t index, uint32_t *tensor);
/* Whole numbers (int32 or int64) of a constant tensor, at most `most` of them. */
bool tflite_numbers(struct tflite_reader *reader, int32_t index, int64_t *numbers, uint32_t most,
                    uint32_t *count);
/* Reads operator `index` as a layer; the message does not name it. */
bool tflite_operator(struct tflite_reader *reader, struct ig_flatbuffer_table table);
/* The builtin code and kind of options that a layer's operator is written with. */
void tflite_code_of(enum ig_network_op op, int32_t *code, uint8_t *options);
/* "operator's name" for messages; never NULL. */
struct ig_str tflite_operator_name(struct tflite_reader *reader, struct ig_flatbuffer_table table);

#endif
