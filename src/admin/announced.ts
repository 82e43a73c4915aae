// Verbs that tell the screens what they changed: `user.changed`, `destination.changed`, `rule.changed`.
// Must not change what a verb does or answers.
import type { Resource } from './control-plane.ts'

/** @param changed told the name after each change that was made */
export function announced<Spec, View, R extends Resource<Spec, View>>(
  resource: R & Resource<Spec, View>,
  nameOf: (spec: Spec) => string,
  changed: (name: string) => void,
): R {
  const after = async <T>(work: Promise<T>, name: string): Promise<T> => {
    const result = await work
    changed(name)
    return result
  }
  return {
    ...resource,
    create: (actor, spec) => after(resource.create(actor, spec), nameOf(spec)),
    update: (actor, name, patch) => after(resource.update(actor, name, patch), name),
    remove: (actor, name) => after(resource.remove(actor, name), name),
    restore: (actor, name) => after(resource.restore(actor, name), name),
    setEnabled: (actor, name, enabled) => after(resource.setEnabled(actor, name, enabled), name),
  }
}
