/* SPDX-License-Identifier: Apache-2.0 */
/* Ends an instance of the SHAP kernel templates. */
#undef REAL
#undef RECORD
#undef BITS
#undef NAME
#undef MASK
#undef MASK_ALL
#undef MASK_COMPARE
#undef MASK_PICK
#undef MASK_EITHER
#undef POINTS
#undef NODES
#undef JOIN
#undef LOW
#undef HIGH
#undef SPREAD
#undef CHOOSE
