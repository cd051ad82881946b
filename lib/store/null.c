/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/ops.h"

const struct store_ops store_null_ops = { .name = "none" };
