// SPDX-License-Identifier: GPL-2.0-or-later
/* The terminal, the keys, and which view is drawn. */
#include "screen.h"

#include <curses.h>
#include <langinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#include "screen_priv.h"

#define MIN_COLS 60
#define MIN_ROWS 15
#define KEY_ESC	 27
#undef CTRL
#define CTRL(c)	 ((c) & 31)

static bool terminal_taken;

static void give_back(void)
{
	if (!terminal_taken)
		return;
	terminal_taken = false;
	endwin();
}

/* A crash must not leave the terminal unusable; endwin() may fail here, the default action comes anyway. */
static void crashed(int sig)
{
	give_back();
	raise(sig);
}

static void catch_crashes(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction a = { .sa_handler = crashed, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &a, NULL);
}

static bool wants_color(const struct options *o)
{
	const char *no = getenv("NO_COLOR");

	if (o->color != COLOR_AUTO)
		return o->color == COLOR_ALWAYS;
	return !no || !*no;
}

struct screen *screen_open(const struct options *o, char *why, size_t len)
{
	const char *term = getenv("TERM");
	struct screen *s;
	bool utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	int err;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		snprintf(why, len, "this is no terminal");
		return NULL;
	}
	if (!term || !*term || setupterm(NULL, STDOUT_FILENO, &err) == ERR ||
	    !tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		snprintf(why, len, "the terminal (TERM=%s) can't move its cursor", term ? term : "");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s || !(s->term = newterm(NULL, stdout, stdin))) {
		snprintf(why, len, s ? "the terminal can't be set up" : "out of memory");
		free(s);
		return NULL;
	}
	terminal_taken = true;
	atexit(give_back);
	catch_crashes();
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	draw_set(s, o->glyphs == GLYPHS_BLOCK || (o->glyphs == GLYPHS_AUTO && utf8), wants_color(o));
	s->byte_units = o->bytes;
	s->privacy.names = o->privacy.names;
	s->redact = o->privacy.who != REDACT_NONE;
	s->window = 1;
	s->sel_type = s->only_type = -1;
	s->panel = PANEL_TYPES;
	s->filter.valid = true;
	s->second_s = o->interval_s;
	return s;
}

void screen_close(struct screen *s)
{
	if (!s)
		return;
	give_back();
	delscreen(s->term);
	data_free(s);
	free(s);
}

void screen_show(struct screen *s, struct model *m, struct findings *f)
{
	s->m = m;
	s->findings = f;
}

void screen_writes(struct screen *s, screen_writer write, void *arg)
{
	s->write = write;
	s->write_arg = arg;
}

static void sink_stats(void *arg, const struct model *m, uint64_t time_ns, double interval_s)
{
	data_stats(arg, m, time_ns, interval_s);
}

/* The screen outlives the pipeline: screen_close() frees it. */
static void sink_close(void *arg)
{
}

struct sink_ref screen_sink(struct screen *s)
{
	static const struct sink ops = { .stats = sink_stats, .close = sink_close };

	return (struct sink_ref){ &ops, s };
}

/* Moves the selection of the panel in use by n lines. */
static void move_by(struct screen *s, long n)
{
	const struct finding *f[64];
	long at = 0, count, i;

	if (s->view == VIEW_FINDING || s->view == VIEW_FLOW) {
		at = (long)s->detail_top + n;
		s->detail_top = at > 0 ? at < (long)s->detail_lines ? at : s->detail_lines : 0;
		return;
	}
	switch (s->panel) {
	case PANEL_FINDINGS:
		count = findings_order(s, f, 64);
		for (i = 0; i < count; i++)
			if (f[i]->id == s->sel_finding)
				at = i;
		break;
	case PANEL_TYPES:
		count = s->ntype_rows;
		for (i = 0; i < count; i++)
			if ((int)s->type_order[i] == s->sel_type)
				at = i;
		break;
	default:
		count = s->nflow_rows;
		for (i = 0; i < count; i++)
			if (s->flow[i].id == s->sel_flow)
				at = i;
	}
	if (!count)
		return;
	at += n;
	at = at < 0 ? 0 : at >= count ? count - 1 : at;
	s->moved[s->panel] = at > 0;
	if (s->panel == PANEL_FINDINGS)
		s->sel_finding = f[at]->id;
	else if (s->panel == PANEL_TYPES)
		s->sel_type = (int)s->type_order[at];
	else
		s->sel_flow = s->flow[at].id;
}

static void next_finding(struct screen *s, long n)
{
	enum view view = s->view;
	enum panel panel = s->panel;

	s->view = VIEW_MAIN;
	s->panel = PANEL_FINDINGS;
	move_by(s, n);
	s->view = view;
	s->panel = panel;
	s->detail_top = 0;
}

static void go_in(struct screen *s)
{
	s->detail_top = 0;
	if (s->view == VIEW_FINDING) {
		/* Its flows: those of its type. */
		for (unsigned i = 0; s->findings && i < findings_count(s->findings); i++) {
			const struct finding *f = findings_at(s->findings, i);

			if (f->id == s->sel_finding && f->type >= 0)
				s->only_type = f->type;
		}
		s->view = s->only_type >= 0 ? VIEW_TYPE : VIEW_MAIN;
		s->panel = PANEL_FLOWS;
		return;
	}
	if (s->view == VIEW_FLOW)
		return;
	s->moved[s->panel] = true;
	if (s->panel == PANEL_FLOWS && s->nflow_rows) {
		s->view = VIEW_FLOW;
	} else if (s->panel == PANEL_TYPES && s->sel_type >= 0 && s->view == VIEW_MAIN) {
		s->view = VIEW_TYPE;
		s->only_type = s->sel_type;
		s->panel = PANEL_FLOWS;
		s->moved[PANEL_FLOWS] = false;
	} else if (s->panel == PANEL_FINDINGS && s->sel_finding) {
		s->view = VIEW_FINDING;
	}
}

static void go_out(struct screen *s)
{
	if (s->view == VIEW_FLOW) {
		s->view = s->only_type >= 0 ? VIEW_TYPE : VIEW_MAIN;
	} else if (s->view != VIEW_MAIN) {
		s->panel = s->view == VIEW_FINDING ? PANEL_FINDINGS : PANEL_TYPES;
		s->view = VIEW_MAIN;
		s->only_type = -1;
	} else if (*s->filter.text) {
		*s->filter.text = 0;
		filter_check(&s->filter);
	}
}

static void typed(struct screen *s, int key)
{
	size_t n = strlen(s->filter.text);

	if (key == KEY_ESC) {
		memcpy(s->filter.text, s->before_typing, sizeof(s->filter.text));
		s->typing = false;
	} else if (key == '\r' || key == '\n' || key == KEY_ENTER) {
		s->typing = false;
	} else if ((key == KEY_BACKSPACE || key == 127 || key == CTRL('h')) && n) {
		s->filter.text[n - 1] = 0;
	} else if (key == CTRL('u')) {
		*s->filter.text = 0;
	} else if (key >= ' ' && key < 127 && n + 1 < sizeof(s->filter.text)) {
		s->filter.text[n] = key;
		s->filter.text[n + 1] = 0;
	}
	filter_check(&s->filter);
	/* What makes no sense does not stay. */
	if (!s->typing && !s->filter.valid) {
		*s->filter.text = 0;
		filter_check(&s->filter);
	}
}

static void sort_by(struct screen *s, int step)
{
	static const unsigned sorts[PANELS] = { 0, TYPES_SORTS, FLOWS_SORTS };
	unsigned n = sorts[s->panel];

	if (n)
		s->sort[s->panel] = (s->sort[s->panel] + n + step) % n;
}

static void next_panel(struct screen *s, int step)
{
	if (s->view == VIEW_MAIN)
		s->panel = (s->panel + PANELS + step) % PANELS;
}

static void acknowledge(struct screen *s)
{
	uint32_t *a = s->acknowledged;

	if (!s->sel_finding || (s->view != VIEW_FINDING && s->panel != PANEL_FINDINGS))
		return;
	for (unsigned i = 0; i < ACKNOWLEDGED; i++)
		if (a[i] == s->sel_finding) {
			a[i] = 0;
			snprintf(s->said, sizeof(s->said), "#%u is back among the open ones", s->sel_finding);
			return;
		}
	a[s->nacknowledged++ % ACKNOWLEDGED] = s->sel_finding;
	snprintf(s->said, sizeof(s->said), "#%u acknowledged: dim, and last; a brings it back", s->sel_finding);
}

/* Only the type of what is selected, by the filter; once more: all again. */
static void only_this_type(struct screen *s)
{
	char text[FILTER_LEN];
	int type = -1;

	for (unsigned i = 0; s->panel == PANEL_FINDINGS && s->findings && i < findings_count(s->findings); i++)
		if (findings_at(s->findings, i)->id == s->sel_finding)
			type = findings_at(s->findings, i)->type;
	for (unsigned i = 0; s->panel == PANEL_FLOWS && i < s->nflow_rows; i++)
		if (s->flow[i].id == s->sel_flow)
			type = s->flow[i].f.type;
	if (s->panel == PANEL_TYPES)
		type = s->sel_type;
	if (s->view != VIEW_MAIN || type < 0)
		return;
	snprintf(text, sizeof(text), "type:%s", model_type_name(s->m, (unsigned)type));
	if (!strcmp(text, s->filter.text))
		*text = 0;
	snprintf(s->filter.text, sizeof(s->filter.text), "%s", text);
	filter_check(&s->filter);
}

static void write_out(struct screen *s, int key)
{
	if (key == 'e' && !s->sel_finding) {
		snprintf(s->said, sizeof(s->said), "no finding yet whose packets could be written");
		return;
	}
	if (s->write)
		s->write(s->write_arg, key, s->sel_finding, s->said, sizeof(s->said));
	else if (key == 'e')
		snprintf(s->said, sizeof(s->said), "the daemon has them: weir evidence %u -o FILE", s->sel_finding);
	else
		snprintf(s->said, sizeof(s->said), "the daemon has the history: weir report -o FILE");
}

static void pressed(struct screen *s, int key)
{
	long page = s->view == VIEW_MAIN || s->view == VIEW_TYPE ? (long)s->page[s->panel] : LINES - 4;

	switch (key) {
	case 'q':
		s->quit = true;
		break;
	case '?':
	case KEY_F(1):
		s->help = true;
		s->help_top = 0;
		break;
	case KEY_UP:
	case 'k':
		move_by(s, -1);
		break;
	case KEY_DOWN:
	case 'j':
		move_by(s, 1);
		break;
	case KEY_PPAGE:
		move_by(s, -page);
		break;
	case KEY_NPAGE:
		move_by(s, page);
		break;
	case KEY_HOME:
	case 'g':
		move_by(s, -100000);
		break;
	case KEY_END:
	case 'G':
		move_by(s, 100000);
		break;
	case '\t':
		next_panel(s, 1);
		break;
	case KEY_BTAB:
		next_panel(s, -1);
		break;
	case '\r':
	case '\n':
	case KEY_ENTER:
	case KEY_RIGHT:
	case 'l':
		go_in(s);
		break;
	case KEY_ESC:
	case KEY_BACKSPACE:
	case 127:
	case KEY_LEFT:
	case 'h':
		go_out(s);
		break;
	case 'n':
	case 'N':
		if (s->view == VIEW_FINDING)
			next_finding(s, key == 'n' ? 1 : -1);
		break;
	case '/':
		s->typing = true;
		memcpy(s->before_typing, s->filter.text, sizeof(s->filter.text));
		break;
	case 's':
	case 'S':
		sort_by(s, key == 's' ? 1 : -1);
		break;
	case 'r':
		s->reverse[s->panel] = !s->reverse[s->panel];
		break;
	case 'o':
		s->frozen = !s->frozen;
		break;
	case 'p':
	case ' ':
		s->paused = !s->paused;
		s->paused_at = s->status.now_ns;
		break;
	case 'u':
		s->byte_units = !s->byte_units;
		break;
	case 'w':
		s->window = (s->window + 1) % 4;
		break;
	case 'x':
		s->redact = !s->redact;
		break;
	case 'a':
		acknowledge(s);
		break;
	case 'f':
		s->moved[s->panel] = !s->moved[s->panel];
		snprintf(s->said, sizeof(s->said), s->moved[s->panel]
				 ? "following this row" : "the top row is selected, whatever it is");
		break;
	case 't':
		only_this_type(s);
		break;
	case 'e':
	case 'R':
		write_out(s, key);
		break;
	case CTRL('l'):
		clearok(curscr, TRUE);
		break;
	}
}

bool screen_keys(struct screen *s)
{
	struct winsize size;
	int key;

	/* Not by KEY_RESIZE: the capture loop takes SIGWINCH. */
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col &&
	    (size.ws_row != LINES || size.ws_col != COLS))
		resizeterm(size.ws_row, size.ws_col);
	while (!s->quit && (key = getch()) != ERR) {
		if (key == KEY_RESIZE)
			continue;
		*s->said = 0;
		if (s->help && (key == KEY_DOWN || key == 'j' || key == KEY_NPAGE))
			s->help_top++;
		else if (s->help && (key == KEY_UP || key == 'k' || key == KEY_PPAGE))
			s->help_top -= s->help_top > 0;
		else if (s->help)
			s->help = false;
		else if (s->typing)
			typed(s, key);
		else
			pressed(s, key);
	}
	return !s->quit;
}

static void too_small(int rows, int cols)
{
	draw_text(0, 0, cols, A_NORMAL, "terminal too small: %dx%d, need %dx%d", cols, rows, MIN_COLS,
		  MIN_ROWS);
}

void screen_draw(struct screen *s, const struct screen_status *status)
{
	int rows = LINES, cols = COLS;

	s->status = *status;
	format_plain(s->source, sizeof(s->source), status->source ? status->source : "");
	format_plain(s->problem, sizeof(s->problem), status->problem ? status->problem : "");
	s->status.source = s->status.problem = NULL;
	data_types(s);
	data_flows(s);
	erase();
	if (cols < MIN_COLS || rows < MIN_ROWS)
		too_small(rows, cols);
	else if (s->help)
		view_help(s, rows, cols);
	else if (s->view == VIEW_FINDING)
		view_finding(s, rows, cols);
	else if (s->view == VIEW_FLOW)
		view_flow(s, rows, cols);
	else
		view_main(s, rows, cols);
	refresh();
}
