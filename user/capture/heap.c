// SPDX-License-Identifier: GPL-2.0-or-later
#include "heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef M_TOP_PAD /* glibc's */
#define STEP (256 << 20) /* of addresses: memory only as it is used */
#define PAGE ((uintptr_t)2 << 20)

static uintptr_t advised; /* the heap is, up to here; 0: this is not asked for */

void heap_grown(void)
{
	uintptr_t end = (uintptr_t)sbrk(0);

	if (!advised || end <= advised)
		return;
	madvise((void *)advised, end - advised, MADV_HUGEPAGE);
	advised = end & ~(PAGE - 1);
}

void heap_large_pages(void)
{
	if (advised)
		return;
	mallopt(M_TOP_PAD, STEP);
	mallopt(M_TRIM_THRESHOLD, 2 * STEP);
	mallopt(M_MMAP_THRESHOLD, STEP / 8);
	advised = ((uintptr_t)sbrk(0) + PAGE - 1) & ~(PAGE - 1);
	free(malloc(STEP / 16)); /* the first step, before it is used */
	heap_grown();
}
#else
void heap_large_pages(void)
{
}

void heap_grown(void)
{
}
#endif
