// SPDX-License-Identifier: GPL-2.0-or-later
/* What the screen is drawn with: clipped text, signs, sparks, the plot. */
#include <curses.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "screen_priv.h"

static const struct signs block = {
	"▲", "●", "▸", "│", "─", "▼", "▲", "┄", "▲", "▼",
	{ " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" },
};
static const struct signs ascii = {
	"!", "*", ">", "|", "-", "v", "^", "-", "^", "v",
	{ " ", ".", ".", "-", "-", "+", "+", "#", "#" },
};

/* East Asian locales draw some of these two columns wide: then they are no good in a table. */
static bool narrow(const struct signs *g)
{
	const char *all[] = { g->likely, g->possible, g->cursor, g->bar, g->line, g->down, g->limit };
	mbstate_t state;
	wchar_t c;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		memset(&state, 0, sizeof(state));
		if (mbrtowc(&c, all[i], strlen(all[i]), &state) > 4 || wcwidth(c) != 1)
			return false;
	}
	return true;
}

void draw_set(struct screen *s, bool utf8, bool color)
{
	s->g = utf8 && narrow(&block) ? block : ascii;
	s->attr[PAINT_PLAIN] = A_NORMAL;
	s->attr[PAINT_TITLE] = A_BOLD;
	s->attr[PAINT_HEAD] = A_UNDERLINE;
	s->attr[PAINT_BAD] = A_BOLD;
	s->attr[PAINT_WARN] = A_NORMAL;
	s->attr[PAINT_GOOD] = A_NORMAL;
	s->attr[PAINT_DIM] = A_NORMAL;
	if (!color || !has_colors())
		return;
	start_color();
	use_default_colors();
	/* Only the terminal's own eight, on its own background: readable on light and dark. */
	init_pair(1, COLOR_RED, -1);
	init_pair(2, COLOR_YELLOW, -1);
	init_pair(3, COLOR_GREEN, -1);
	init_pair(4, COLOR_CYAN, -1);
	s->attr[PAINT_BAD] = COLOR_PAIR(1) | A_BOLD;
	s->attr[PAINT_WARN] = COLOR_PAIR(2);
	s->attr[PAINT_GOOD] = COLOR_PAIR(3);
	s->attr[PAINT_TITLE] = COLOR_PAIR(4) | A_BOLD;
}

unsigned columns_of(const char *utf8)
{
	unsigned n = 0;

	for (; *utf8; utf8++)
		n += (*utf8 & 0xc0) != 0x80;
	return n;
}

/* Cuts text to width columns. */
static void clip(char *text, int width)
{
	for (; *text; text++) {
		if ((*text & 0xc0) != 0x80 && width-- <= 0) {
			*text = 0;
			return;
		}
	}
}

void draw_text(int y, int x, int width, unsigned attr, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (width <= 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clip(text, width);
	attrset(attr);
	mvaddstr(y, x, text);
	attrset(A_NORMAL);
}

void draw_right(int y, int x, int width, unsigned attr, const char *text)
{
	int pad = width - (int)columns_of(text);

	draw_text(y, x + (pad > 0 ? pad : 0), width, attr, "%s", text);
}

void draw_line(const struct screen *s, int y)
{
	move(y, 0);
	for (int i = 0; i < COLS; i++)
		addstr(s->g.line);
}

/* A cell's mean rate to the client; cells of 6 s, the newest at the right. */
static double cell(const struct screen *s, const struct type_row *t, unsigned back)
{
	unsigned per = 6 / (s->second_s > 0 ? s->second_s : 1), n = 0;
	double sum = 0;

	per = per ? per : 1;
	for (unsigned i = back * per + 1; i <= (back + 1) * per && i <= s->intervals && i <= RING; i++) {
		sum += t->ring[(s->intervals - i) % RING].bits[TO_CLIENT];
		n++;
	}
	return n ? sum / n : -1;
}

void draw_spark(const struct screen *s, int y, int x, int width, unsigned attr, const struct type_row *t)
{
	double top = 0;

	for (int i = 0; i < width; i++)
		top = fmax(top, cell(s, t, i));
	attrset(attr);
	for (int i = 0; i < width; i++) {
		double v = cell(s, t, width - 1 - i);
		unsigned level = v <= 0 || top <= 0 ? 0 : 1 + (unsigned)(v / top * 7.99);

		mvaddstr(y, x + i, v < 0 ? " " : v == 0 ? s->g.level[1] : s->g.level[level > 8 ? 8 : level]);
	}
	attrset(A_NORMAL);
}

/* Rate to the client over the last five minutes, newest at the right, with the limit as a line. */
void draw_plot(const struct screen *s, int y, int height, const struct type_row *t, double limit_bps)
{
	const int left = 8;
	int width = COLS - left - 1, cells;
	double top = limit_bps;

	if (width < 10 || height < 2 || !t->ring)
		return;
	cells = width < RING ? width : RING;
	for (int c = 0; c < cells; c++) {
		int from = (long)c * RING / cells, to = (long)(c + 1) * RING / cells;

		for (int i = from; i < to && (uint64_t)i < s->intervals; i++)
			top = fmax(top, t->ring[(s->intervals - 1 - i) % RING].bits[TO_CLIENT]);
	}
	if (top <= 0)
		top = 1;
	for (int row = 0; row < height; row++) {
		/* The value at the cell's lower and upper edge. */
		double low = top * (height - 1 - row) / height, high = top * (height - row) / height;
		bool limit = limit_bps > low && limit_bps <= high;
		char label[8];

		draw_rate(s, label, high);
		draw_right(y + row, 0, left - 1, s->attr[PAINT_DIM], label);
		mvaddstr(y + row, left - 1, s->g.bar);
		for (int c = 0; c < cells; c++) {
			int from = (long)c * RING / cells, to = (long)(c + 1) * RING / cells, n = 0;
			double sum = 0, part;

			for (int i = from; i < to && (uint64_t)i < s->intervals; i++, n++)
				sum += t->ring[(s->intervals - 1 - i) % RING].bits[TO_CLIENT];
			part = n ? (sum / n - low) / (high - low) : 0;
			move(y + row, left + width - 1 - c);
			if (n && part > 0)
				addstr(s->g.level[part >= 1 ? 8 : 1 + (int)(part * 7.99)]);
			else if (limit)
				addstr(s->g.limit);
		}
	}
}

const char *draw_rate(const struct screen *s, char out[8], double bits)
{
	format_si(out, s->byte_units ? bits / 8 : bits);
	return out;
}

void draw_client(const struct screen *s, char *out, size_t len, const struct endpoint *e, bool port)
{
	char ip[IP_LEN];

	format_ip(ip, &e->ip);
	if (s->redact) {
		const uint8_t *a = e->ip.s6_addr;

		if (IN6_IS_ADDR_V4MAPPED(&e->ip))
			snprintf(ip, sizeof(ip), "%u.%u.x.x", a[12], a[13]);
		else
			snprintf(ip, sizeof(ip), "%x:%x:%x:x", a[0] << 8 | a[1], a[2] << 8 | a[3],
				 a[4] << 8 | a[5]);
	}
	if (!port)
		snprintf(out, len, "%s", ip);
	else if (IN6_IS_ADDR_V4MAPPED(&e->ip))
		snprintf(out, len, "%s:%u", ip, e->port);
	else
		snprintf(out, len, "[%s]:%u", ip, e->port);
}
