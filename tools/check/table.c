/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "imgcore/diag.h"
#include "imgcore/paths.h"

static int put_findings(FILE *out, const char *head,
			const struct findings *findings)
{
	if (findings->count > 0)
		fprintf(out, "%s (%zu):\n", head, findings->count);
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->items[i];
		const struct diag diag = { .path = f->path,
					   .reason = f->reason };
		_cleanup_free_ char *line = diag_format(&diag, 0);

		if (!line)
			return -ENOMEM;
		fprintf(out, "%s\n", line);
	}
	if (findings->count > 0)
		fputc('\n', out);
	return 0;
}

static int put_kernels(FILE *out, const struct report *report)
{
	_cleanup_free_ char *text = NULL;
	int r = report->kernels
			? boot_kernels_table(report->kernels, SIZE_MAX, &text)
			: 0;

	if (text)
		fprintf(out, "%s\n", text);
	return r;
}

static const struct boot_entry *default_entry(const struct report *report)
{
	const struct boot_entry *entries;
	size_t n = report_entries(report, &entries);

	for (size_t i = 0; i < n; i++)
		if (entries[i].is_default)
			return &entries[i];
	return NULL;
}

static const char *why_nothing(const struct report *report)
{
	const struct boot_entry *entries;

	if (report_entries(report, &entries) == 0)
		return "there is no kernel";
	return report->menu == MENU_NONE ? "GRUB finds no menu" : "";
}

/* What starts by itself, and with what. */
static int put_default(FILE *out, const struct report *report)
{
	const struct boot_entry *entry = default_entry(report);
	_cleanup_free_ char *arguments = NULL;
	_cleanup_free_ char *shown = NULL;

	if (!entry)
		return 0;
	arguments = report_arguments(report, entry);
	shown = arguments ? escape_text(arguments, ESCAPE_NON_UTF8) : NULL;
	if (!shown)
		return -ENOMEM;
	fprintf(out, "Boots: %s, with %s\n", entry->title, shown);
	return 0;
}

static int put_verdict(FILE *out, const struct report *report)
{
	size_t n = report->problems.count;

	switch (report->verdict) {
	case VERDICT_REFUSED:
		fprintf(out, "No disk can be made: %zu problem%s\n", n,
			n == 1 ? "" : "s");
		return 0;
	case VERDICT_NOTHING_BOOTS:
		fprintf(out, "Nothing boots: %s\n", why_nothing(report));
		return 0;
	case VERDICT_BOOTS:
		break;
	}
	if (report->menu == MENU_GENERATED)
		return put_default(out, report);
	fputs("Boots: what the tree's own " PATH_MENU " says\n", out);
	return 0;
}

int report_print(const struct report *report, FILE *out)
{
	int r = put_kernels(out, report);

	if (r == 0)
		r = put_findings(out, "Problems", &report->problems);
	if (r == 0)
		r = put_findings(out, "Notes", &report->notes);
	return r == 0 ? put_verdict(out, report) : r;
}
