/** The shapes of rules, alerts and silences as Prometheus and Alertmanager give them, and small questions about them. */

export interface AlertJson {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: 'firing' | 'pending' | 'inactive';
  activeAt: string;
  value: string;
}

export interface RuleJson {
  name: string;
  query: string;
  type: 'alerting' | 'recording';
  state?: 'firing' | 'pending' | 'inactive' | 'unknown';
  health: string;
  lastError?: string;
  duration?: number;
  keepFiringFor?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  alerts?: AlertJson[];
  evaluationTime?: number;
  lastEvaluation?: string;
}

export interface RuleGroupJson { name: string; file: string; interval: number; rules: RuleJson[]; evaluationTime?: number; lastEvaluation?: string }

export interface GroupJson {
  labels: Record<string, string>;
  receiver: { name: string };
  alerts: AmAlertJson[];
}

export interface AmAlertJson {
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt?: string;
  status: { state: 'active' | 'suppressed' | 'unprocessed'; silencedBy: string[]; inhibitedBy: string[]; mutedBy?: string[] };
}

export interface AckJson { fingerprint: string; by: string; comment: string; made: string; until: string }

/** Gives an alert's runbook, where it is a link that may be followed. */
export function runbookOf(annotations: Record<string, string>): string {
  const href = annotations.runbook_url ?? '';
  return /^https?:\/\//i.test(href) ? href : '';
}

export interface Matcher { name: string; value: string; isRegex: boolean; isEqual?: boolean }

export interface SilenceJson {
  id: string;
  status: { state: 'active' | 'pending' | 'expired' };
  comment: string;
  createdBy: string;
  startsAt: string;
  endsAt: string;
  matchers: Matcher[];
}

export function severityClass(labels: Record<string, string>): string {
  const severity = labels.severity ?? '';
  if (/^(warn|warning|medium|minor)/i.test(severity)) return 'warn';
  if (/^(info|low|notice|none)/i.test(severity)) return 'info';
  return 'bad';
}

/** Writes a matcher as Alertmanager does. */
export function matcherText({ name, value, isRegex, isEqual = true }: Matcher): string {
  return `${name}${isEqual ? (isRegex ? '=~' : '=') : isRegex ? '!~' : '!='}"${value}"`;
}

/** Says whether labels satisfy all matchers; undefined when a pattern cannot be read. */
export function matchesAll(matchers: readonly Matcher[], labels: Record<string, string>): boolean | undefined {
  try {
    return matchers.every(({ name, value, isRegex, isEqual = true }) => {
      const label = labels[name] ?? '';
      return (isRegex ? new RegExp(`^(?:${value})$`).test(label) : label === value) === isEqual;
    });
  } catch {
    return undefined;
  }
}
