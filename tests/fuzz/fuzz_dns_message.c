// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as a DNS message: no read out of bounds, bounded work, the same answer twice. */
#include <stdlib.h>
#include <string.h>

#include "dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_message a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	if (dns_parse(&a, data, size) != dns_parse(&b, data, size))
		abort();
	if (size >= 12 && a.question && (b.set != a.set || strcmp(a.name, b.name)))
		abort();
	if (a.naddresses && !a.address[0])
		abort();
	return 0;
}
