/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is held of flows lies all over the heap, and each packet touches thirty places there: in pages of 4 KB the
 * processor finds few of their translations in its own tables. Captures are analysed in large pages, where
 * the system has them. Nothing here can fail: without it analysis is slower.
 */
#ifndef WEIR_HEAP_H
#define WEIR_HEAP_H

/* Before anything large is allocated. The heap grows by 256 MB of addresses from then on, and keeps what it has. */
void heap_large_pages(void);

/* Now and then: so for what has been added. */
void heap_grown(void);

#endif
