// SPDX-License-Identifier: GPL-2.0-or-later
#include "mapped.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct window {
	uint8_t *at;
	size_t size;
};

struct mapped {
	struct mapped *next; /* in `open` */
	int fd;
	size_t page;
	struct window now, before;
	volatile bool torn;
};

/* Those whose windows a SIGBUS may lie in. Captures are read by one thread of a process. */
static struct mapped *open_ones;
static struct sigaction otherwise;

static bool is_in(const struct window *w, uintptr_t at)
{
	return w->at && at - (uintptr_t)w->at < w->size;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	for (struct mapped *m = open_ones; m; m = m->next) {
		void *page = (void *)(at & ~(m->page - 1));

		if (!is_in(&m->now, at) && !is_in(&m->before, at))
			continue;
		m->torn = true;
		if (mmap(page, m->page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page)
			return;
	}
	sigaction(SIGBUS, &otherwise, NULL); /* not ours: it comes again */
}

struct mapped *mapped_open(int fd)
{
	struct sigaction a = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	struct mapped *m;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return NULL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->fd = fd;
	m->page = (size_t)sysconf(_SC_PAGESIZE);
	if (!open_ones)
		sigaction(SIGBUS, &a, &otherwise);
	m->next = open_ones;
	open_ones = m;
	return m;
}

static void give_back(struct window *w)
{
	if (w->at)
		munmap(w->at, w->size);
	w->at = NULL;
}

void mapped_close(struct mapped *m)
{
	struct mapped **at = &open_ones;

	if (!m)
		return;
	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	if (!open_ones)
		sigaction(SIGBUS, &otherwise, NULL);
	give_back(&m->now);
	give_back(&m->before);
	close(m->fd);
	free(m);
}

const uint8_t *mapped_from(struct mapped *m, uint64_t pos, uint32_t *n, int *err)
{
	uint64_t start = pos & ~(uint64_t)(m->page - 1);
	struct window w;
	struct stat st;

	*n = 0;
	*err = 0;
	if (fstat(m->fd, &st)) {
		*err = errno;
		return NULL;
	}
	if ((uint64_t)st.st_size <= pos)
		return NULL;
	w.size = MAPPED_WINDOW + m->page;
	if (w.size > (uint64_t)st.st_size - start)
		w.size = (size_t)((uint64_t)st.st_size - start);
	w.at = mmap(NULL, w.size, PROT_READ, MAP_SHARED, m->fd, (off_t)start);
	if (w.at == MAP_FAILED) {
		*err = errno;
		return NULL;
	}
	madvise(w.at, w.size, MADV_SEQUENTIAL);
	give_back(&m->before);
	m->before = m->now;
	m->now = w;
	*n = (uint32_t)(w.size - (size_t)(pos - start));
	return w.at + (pos - start);
}

bool mapped_torn(const struct mapped *m)
{
	return m->torn;
}
