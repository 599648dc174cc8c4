/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON is UTF-8, names are bytes: text is escaped as in the table, and where
 * that changed a path, its bytes stand beside it in hexadecimal.
 */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "imgcore/diag.h"

#define SCHEMA_VERSION 1

/* Takes value over. What is NULL for want of memory makes the whole fail. */
static int put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int append(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) < 0 ? -ENOMEM : 0;
}

static json_t *text_new(const char *bytes)
{
	_cleanup_free_ char *text = bytes ? escape_text(bytes, ESCAPE_NON_UTF8)
					  : NULL;

	if (!bytes)
		return json_null();
	return text ? json_string(text) : NULL;
}

static json_t *hex_new(const char *bytes)
{
	size_t len = strlen(bytes);
	_cleanup_free_ char *text = malloc(2 * len + 1);

	for (size_t i = 0; text && i < len; i++)
		sprintf(text + 2 * i, "%02x", (unsigned char)bytes[i]);
	return text ? json_stringn(text, 2 * len) : NULL;
}

/* "path", and "path_hex" where the one is not the bytes. */
static int put_path(json_t *object, const char *path)
{
	_cleanup_free_ char *text = path ? escape_text(path, ESCAPE_NON_UTF8)
					 : NULL;
	int r = put(object, "path", text_new(path));

	if (r < 0 || !path)
		return r;
	if (!text)
		return -ENOMEM;
	return strcmp(text, path) == 0 ? 0
				       : put(object, "path_hex", hex_new(path));
}

/* ---- kernels ---- */

static json_t *initrds_new(const struct boot_entry *entry)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; array && i < entry->n_initrds; i++)
		if (append(array, text_new(entry->initrds[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *entry_new(const struct report *report,
			 const struct boot_entry *entry)
{
	_cleanup_(json_decrefp) json_t *object = json_object();
	_cleanup_free_ char *arguments = report_arguments(report, entry);

	if (!object || !arguments ||
	    put(object, "title", text_new(entry->title)) ||
	    put(object, "id", text_new(entry->id)) ||
	    put(object, "version", text_new(entry->version)) ||
	    put_path(object, entry->path) ||
	    put(object, "partition", json_integer(entry->partition)) ||
	    put(object, "initrds", initrds_new(entry)) ||
	    put(object, "arguments", text_new(arguments)) ||
	    put(object, "arguments_from", text_new(entry->arguments_from)) ||
	    put(object, "bls", text_new(entry->bls)) ||
	    put(object, "default", json_boolean(entry->is_default)))
		return NULL;
	return take_ptr(object);
}

static json_t *entries_new(const struct report *report)
{
	_cleanup_(json_decrefp) json_t *array = json_array();
	const struct boot_entry *entries;
	size_t n = report_entries(report, &entries);

	for (size_t i = 0; array && i < n; i++)
		if (append(array, entry_new(report, &entries[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *reject_new(const struct boot_reject *reject)
{
	_cleanup_(json_decrefp) json_t *object = json_object();

	if (!object || put_path(object, reject->path) ||
	    put(object, "partition", json_integer(reject->partition)) ||
	    put(object, "reason", text_new(reject->reason)) ||
	    put(object, "kernel", json_boolean(reject->is_kernel)))
		return NULL;
	return take_ptr(object);
}

static json_t *rejects_new(const struct report *report)
{
	_cleanup_(json_decrefp) json_t *array = json_array();
	const struct boot_reject *rejects;
	size_t n = report->kernels ? boot_rejects(report->kernels, &rejects)
				   : 0;

	for (size_t i = 0; array && i < n; i++)
		if (append(array, reject_new(&rejects[i])) < 0)
			return NULL;
	return take_ptr(array);
}

/* ---- the rest ---- */

static json_t *finding_new(const struct finding *finding)
{
	_cleanup_(json_decrefp) json_t *object = json_object();

	if (!object || put_path(object, finding->path) ||
	    put(object, "reason", text_new(finding->reason)))
		return NULL;
	return take_ptr(object);
}

static json_t *findings_new(const struct findings *findings)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; array && i < findings->count; i++)
		if (append(array, finding_new(&findings->items[i])) < 0)
			return NULL;
	return take_ptr(array);
}

static json_t *disk_new(const struct report *report)
{
	_cleanup_(json_decrefp) json_t *object = json_object();
	_cleanup_(json_decrefp) json_t *array = json_array();

	if (report->verdict == VERDICT_REFUSED)
		return json_null();
	for (unsigned i = 0; array && i < 2; i++)
		if (append(array,
			   json_integer(
				   (json_int_t)report->partition_size[i])) < 0)
			return NULL;
	if (!object ||
	    put(object, "size", json_integer((json_int_t)report->size)) ||
	    put(object, "partitions", take_ptr(array)))
		return NULL;
	return take_ptr(object);
}

static const char *const verdicts[] = {
	[VERDICT_BOOTS] = "boots",
	[VERDICT_NOTHING_BOOTS] = "nothing-boots",
	[VERDICT_REFUSED] = "refused",
};

static const char *const menus[] = {
	[MENU_GENERATED] = "generated",
	[MENU_OWN] = "own",
	[MENU_NONE] = "none",
};

static json_t *report_new(const struct report *report)
{
	_cleanup_(json_decrefp) json_t *object = json_object();

	if (!object || put(object, "version", json_integer(SCHEMA_VERSION)) ||
	    put(object, "source", text_new(report->source)) ||
	    put(object, "verdict", json_string(verdicts[report->verdict])) ||
	    put(object, "menu", json_string(menus[report->menu])) ||
	    put(object, "disk", disk_new(report)) ||
	    put(object, "kernels", entries_new(report)) ||
	    put(object, "rejects", rejects_new(report)) ||
	    put(object, "problems", findings_new(&report->problems)) ||
	    put(object, "notes", findings_new(&report->notes)))
		return NULL;
	return take_ptr(object);
}

int report_print_json(const struct report *report, FILE *out)
{
	_cleanup_(json_decrefp) json_t *object = report_new(report);

	if (!object)
		return -ENOMEM;
	/* What fails to be written shows at the end. */
	(void)json_dumpf(object, out, JSON_INDENT(2));
	fputc('\n', out);
	return 0;
}
